import { describe, expect, it } from "vitest";
import { directions } from "../../../sae/persistence/cosine.ts";
import { directionNull, drawLike } from "../../../sae/persistence/direction-null.ts";
import { quantile } from "../../../sae/persistence/quantile.ts";
import { createRng } from "../../../src/engine/random.ts";

function gaussian(seed: number, n: number, width: number, scale: (axis: number) => number) {
  const rng = createRng(seed);
  return directions(
    Float64Array.from({ length: n * width }, (_, at) => rng.normal() * scale(at % width)),
    width,
  );
}

const all = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

describe("directionNull", () => {
  // Reference values for the best of n unrelated directions at d = 32, n = 512, isotropic:
  // median .51, 99% .64 (measured apart from this code).
  it("reproduces the known best-of-n cosine of isotropic directions", () => {
    const targets = gaussian(1, 512, 32, () => 1);
    const queries = gaussian(2, 400, 32, () => 1);
    const maxima = directionNull(queries, all(400), targets, createRng(3));
    expect(quantile(maxima, 0.5)).toBeCloseTo(0.51, 1);
    expect(quantile(maxima, 0.99)).toBeGreaterThan(0.58);
    expect(quantile(maxima, 0.99)).toBeLessThan(0.7);
  });

  it("is higher where directions share an anisotropic covariance: .7 is chance in a small model", () => {
    const decay = (axis: number): number => 1 / Math.sqrt(1 + axis); // eigenvalues 1/i
    const targets = gaussian(4, 1024, 64, decay);
    const queries = gaussian(5, 200, 64, decay);
    const maxima = directionNull(queries, all(200), targets, createRng(6));
    expect(quantile(maxima, 0.99)).toBeGreaterThan(0.7);
    expect(quantile(maxima, 0.99)).toBeLessThan(0.87);
  });

  it("uses only the chosen rows, at most 512 of them", () => {
    const targets = gaussian(7, 50, 8, () => 1);
    expect(directionNull(targets, [3, 5], targets, createRng(8))).toHaveLength(2);
    const many = gaussian(9, 700, 8, () => 1);
    expect(directionNull(many, all(700), targets, createRng(8))).toHaveLength(512);
    expect(directionNull(many, [], targets, createRng(8))).toHaveLength(0);
  });
});

describe("drawLike", () => {
  it("matches the mean and the covariance of the given rows", () => {
    const rng = createRng(10);
    const like = directions(
      Float64Array.from({ length: 6000 * 3 }, (_, at) => 2 * rng.normal() + [4, 0, -2][at % 3]),
      3,
    );
    const drawn = drawLike(like, createRng(11));
    for (let a = 0; a < 3; a++) {
      const mean = (rows: Float64Array): number =>
        rows.reduce((sum, x, at) => sum + (at % 3 === a ? x / 6000 : 0), 0);
      // Drawn vectors are scaled to length 1 again, which moves the mean a little.
      expect(Math.abs(mean(drawn.rows) - mean(like.rows))).toBeLessThan(0.06);
    }
  });

  it("survives fewer rows than dimensions", () => {
    expect(
      drawLike(
        gaussian(12, 2, 5, () => 1),
        createRng(13),
      ).rows,
    ).toHaveLength(10);
  });
});
