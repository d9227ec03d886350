import { describe, expect, it } from "vitest";
import {
  type CurvePoint,
  smoothedCurve,
  tokensRatio,
} from "../../../sae/persistence/tokens-ratio.ts";
import { createRng } from "../../../src/engine/random.ts";

const curve = (fvu: number[], step = 100): CurvePoint[] =>
  fvu.map((value, s) => ({ tokens: s * step, fvu: value }));

describe("tokensRatio", () => {
  it("interpolates where the carried curve reaches the fresh one's end, by hand", () => {
    // Straight lines are their own running means. Fresh ends at .2 after 1000 tokens (its last tenth
    // is one point); carried falls by .1 each 100 from .5: .2 is reached at 300.
    const fresh = curve([1.2, 1.1, 1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]);
    expect(tokensRatio(curve([0.5, 0.4, 0.3, 0.2, 0.1, 0]), [fresh])).toBeCloseTo(0.3, 12);
    expect(tokensRatio(curve([0.55, 0.45, 0.35, 0.25, 0.15, 0.05]), [fresh])).toBeCloseTo(0.35, 12);
  });

  it("is null when the carried SAE never gets there, or a curve is missing", () => {
    const fresh = curve([1, 0.5, 0.1]);
    expect(tokensRatio(curve([0.5, 0.4, 0.3]), [fresh])).toBeNull();
    expect(tokensRatio([], [fresh])).toBeNull();
    expect(tokensRatio(fresh, [])).toBeNull();
    expect(tokensRatio(fresh, [[]])).toBeNull();
    expect(tokensRatio(curve([0.05, 0.05]), [fresh, curve([1, 0.01])])).toBeNull();
  });

  it("is 0 when the carried SAE starts out better", () => {
    expect(tokensRatio(curve([0.05, 0.04]), [curve([1, 0.5, 0.1])])).toBe(0);
  });

  it("averages over fresh seeds and ignores steps without a figure", () => {
    const fresh = (end: number): CurvePoint[] => [
      ...curve([1, 0.5, Number.NaN]),
      { tokens: 400, fvu: end },
    ];
    const carried = curve([0.4, 0.3, 0.2, 0.1, 0]);
    expect(tokensRatio(carried, [fresh(0.3), fresh(0.2)])).toBeCloseTo(
      (100 / 400 + 200 / 400) / 2,
      12,
    );
  });

  it("is steady under the noise of batches", () => {
    const rng = createRng(1);
    const noisy = (start: number, rate: number): CurvePoint[] =>
      Array.from({ length: 200 }, (_, s) => ({
        tokens: s * 10,
        fvu: start * Math.exp((-rate * s) / 200) * (1 + 0.03 * rng.normal()),
      }));
    // Fresh ends at e^−3 of its start; carried starts at e^−1 of that with the same rate: 2/3.
    const ratio = tokensRatio(noisy(Math.exp(-1), 3), [noisy(1, 3)])!;
    expect(ratio).toBeGreaterThan(0.55);
    expect(ratio).toBeLessThan(0.72);
  });
});

describe("smoothedCurve", () => {
  it("averages up to two neighbours on each side, fewer at the ends", () => {
    expect(smoothedCurve(curve([0, 3, 0, 3, 0])).map(({ fvu }) => fvu)).toBeAllclose(
      [0, 1, 1.2, 1, 0],
      { rtol: 1e-12 },
    );
  });
});
