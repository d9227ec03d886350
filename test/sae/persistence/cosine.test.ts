import { describe, expect, it } from "vitest";
import { directions, rowCosine, whitened } from "../../../sae/persistence/cosine.ts";
import { createRng } from "../../../src/engine/random.ts";

describe("rowCosine", () => {
  it("is the cosine of the angle, whatever the lengths", () => {
    const a = directions([3, 0, 1, 1], 2);
    const b = directions([0, 2, 5, 5], 2);
    expect(rowCosine(a, 0, b, 0)).toBe(0);
    expect(rowCosine(a, 0, b, 1)).toBeCloseTo(Math.SQRT1_2, 15);
    expect(rowCosine(a, 1, b, 1)).toBeCloseTo(1, 15);
  });

  it("is not defined for a zero row", () => {
    expect(rowCosine(directions([0, 0], 2), 0, directions([1, 0], 2), 0)).toBeNaN();
  });

  it("refuses numbers that are not whole rows", () => {
    expect(() => directions([1, 2, 3], 2)).toThrow("internal: 3 numbers are not rows of 2");
  });
});

describe("whitened", () => {
  it("weighs directions by the inverse covariance, by hand", () => {
    // Σ = diag(4, 1), no shrinkage: u = (1, 1) → uᵀΣ⁻¹v for v = (1, −1) is 1/4 − 1, norms 5/4.
    const white = whitened(directions([1, 1, 1, -1], 2), Float64Array.of(4, 0, 0, 1), 0);
    expect(rowCosine(white, 0, white, 1)).toBeCloseTo(-0.75 / 1.25, 14);
  });

  it("changes nothing under an isotropic covariance", () => {
    const rng = createRng(3);
    const raw = directions(
      Float64Array.from({ length: 12 }, () => rng.normal()),
      3,
    );
    const identity = Float64Array.of(2, 0, 0, 0, 2, 0, 0, 0, 2);
    expect(whitened(raw, identity, 1e-3).rows).toBeAllclose(raw.rows, { rtol: 1e-12, atol: 1e-14 });
  });

  it("survives a covariance of zero", () => {
    const raw = directions([1, 2], 2);
    expect(whitened(raw, new Float64Array(4), 1e-3).rows).toBeAllclose(raw.rows, { rtol: 1e-12 });
  });
});
