import { describe, expect, it } from "vitest";
import { firingCount, firingQuantiles, firingsOf } from "../../../sae/persistence/firings.ts";
import { UsageError } from "../../../src/io/index.ts";
import { codesOf } from "./support.ts";

describe("firingsOf", () => {
  const codes = codesOf([
    [1, 0, 0],
    [0, 2, 0],
    [3, 2, 0],
    [0, 2, 0],
  ]);

  it("lists each latent's tokens and values in order, with mean and norm over all tokens", () => {
    const firings = firingsOf(codes, "codes");
    expect([...firings.start]).toEqual([0, 2, 5, 5]);
    expect([...firings.token]).toEqual([0, 2, 1, 2, 3]);
    expect([...firings.value]).toEqual([1, 3, 2, 2, 2]);
    expect(firings.mean).toBeAllclose([1, 1.5, 0], { rtol: 1e-15 });
    // Σ(x − 1)² over (1, 0, 3, 0) = 6; over (0, 2, 2, 2) with mean 1.5 = 3.
    expect(firings.norm).toBeAllclose([Math.sqrt(6), Math.sqrt(3), 0], { rtol: 1e-15 });
    expect(firingCount(firings, 1)).toBe(3);
  });

  it("gives a latent that always fires with one value no norm", () => {
    const constant = codesOf(Array.from({ length: 1000 }, () => [0.1]));
    expect(firingsOf(constant, "codes").norm[0]).toBe(0);
  });

  it("takes quantiles over firing values only", () => {
    const firings = firingsOf(codes, "codes");
    const [median, p75] = firingQuantiles(firings, [0.5, 0.75]);
    expect([...median.slice(0, 2)]).toEqual([2, 2]);
    expect(p75[0]).toBe(2.5);
    expect(median[2]).toBeNaN();
  });

  it("refuses values that are not positive numbers, latents out of range or order, and no tokens", () => {
    const bad = [
      { ...codes, value: Float32Array.of(1, 2, Number.NaN, 2, 2) },
      { ...codes, value: Float32Array.of(1, 2, -3, 2, 2) },
      { ...codes, value: Float32Array.of(1, 2, Infinity, 2, 2) },
      { ...codes, latent: Int32Array.of(0, 1, 0, 3, 1) },
      { ...codes, latent: Int32Array.of(0, 1, 1, 0, 1) },
      { ...codes, rowStart: Int32Array.of(0, 1, 2, 1, 5) },
      { ...codes, rowStart: Int32Array.of(0, 5) },
      { ...codes, latent: new Int32Array(3) },
      { ...codes, nTokens: 0, rowStart: Int32Array.of(0) },
    ];
    for (const broken of bad) {
      expect(() => firingsOf(broken, "arm x")).toThrow(UsageError);
    }
    expect(() => firingsOf(bad[0], "arm x")).toThrow("arm x: value: expected positive finite");
  });
});
