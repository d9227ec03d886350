import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nonNegativeLeastSquares } from "../../../sae/persistence/nnls.ts";

/** The objective ½ wᵀG w − cᵀw. */
function objective(gram: Float64Array, cross: Float64Array, w: ArrayLike<number>): number {
  let sum = 0;
  for (let a = 0; a < cross.length; a++) {
    sum -= cross[a] * w[a];
    for (let b = 0; b < cross.length; b++) sum += 0.5 * w[a] * gram[a * cross.length + b] * w[b];
  }
  return sum;
}

describe("nonNegativeLeastSquares", () => {
  it("is the plain solution where that is not negative, by hand", () => {
    // [2 1; 1 2] w = [3, 3] has w = [1, 1]
    const w = nonNegativeLeastSquares(Float64Array.of(2, 1, 1, 2), Float64Array.of(3, 3), 2);
    expect([...w]).toEqual([expect.closeTo(1, 10), expect.closeTo(1, 10)]);
  });

  it("sets to 0 what would be negative and fits the rest anew, by hand", () => {
    // A = [1 1; 0 1; 1 0], y = [1, −1, 2]: plain w = [2, −1], so w₂ = 0 and w₁ = 3/2
    const w = nonNegativeLeastSquares(Float64Array.of(2, 1, 1, 2), Float64Array.of(3, 0), 2);
    expect([...w]).toEqual([expect.closeTo(1.5, 10), 0]);
  });

  it("takes a variable out again that it had let in, by hand", () => {
    // Variable 0 has the steepest start, yet 1 and 2 together explain y = 1·a₁ + 1·a₂ without it:
    // columns a₁ = [1, 0], a₂ = [0, 1], a₀ = [1, 1] + a third row of 1 that y lacks
    const gram = Float64Array.of(3, 1, 1, 1, 1, 0, 1, 0, 1);
    const cross = Float64Array.of(2, 1, 1);
    const w = nonNegativeLeastSquares(gram, cross, 3);
    expect([...w]).toEqual([expect.closeTo(0, 9), expect.closeTo(1, 9), expect.closeTo(1, 9)]);
  });

  it("shares the work of two equal columns without failing, and gives 0 to a column of zeros", () => {
    const twice = nonNegativeLeastSquares(Float64Array.of(1, 1, 1, 1), Float64Array.of(2, 2), 2);
    expect(twice[0] + twice[1]).toBeCloseTo(2, 8);
    expect([...nonNegativeLeastSquares(Float64Array.of(0), Float64Array.of(0), 1)]).toEqual([0]);
    expect(nonNegativeLeastSquares(new Float64Array(0), new Float64Array(0), 0)).toHaveLength(0);
  });

  it("meets the conditions of an optimum on random problems, and no grid point is better", () => {
    const entry = fc.integer({ min: -8, max: 8 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(entry, entry, entry, entry), { minLength: 5, maxLength: 9 }),
        (rows) => {
          const n = 3;
          const gram = new Float64Array(n * n);
          const cross = new Float64Array(n);
          for (const row of rows) {
            for (let a = 0; a < n; a++) {
              cross[a] += row[a] * row[3];
              for (let b = 0; b < n; b++) gram[a * n + b] += row[a] * row[b];
            }
          }
          const w = nonNegativeLeastSquares(gram, cross, n);
          const scale = Math.max(1, ...cross.map(Math.abs));
          for (let a = 0; a < n; a++) {
            let gradient = -cross[a];
            for (let b = 0; b < n; b++) gradient += gram[a * n + b] * w[b];
            expect(w[a]).toBeGreaterThanOrEqual(0);
            expect(gradient).toBeGreaterThanOrEqual(-1e-6 * scale);
            if (w[a] > 1e-6) expect(Math.abs(gradient)).toBeLessThanOrEqual(1e-6 * scale);
          }
          const least = objective(gram, cross, w);
          for (let g = 0; g < 64; g++) {
            const point = [g % 4, (g >> 2) % 4, g >> 4].map((x) => x / 2);
            expect(objective(gram, cross, point)).toBeGreaterThanOrEqual(least - 1e-6 * scale);
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});
