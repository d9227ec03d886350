// The PCA floor: eigenvalues by hand, by their invariants, and against numpy.
import { writeFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { covariance, pcaFvu, symmetricEigenvalues } from "../../sae/pca.ts";
import { createRng } from "../../src/engine/index.ts";
import { temporaryFolder } from "../support/folder.ts";
import { python } from "../support/python.ts";
import { draw } from "./support/random-sae.ts";

const at = temporaryFolder();

describe("symmetricEigenvalues", () => {
  test.each([
    ["1×1", [-3], [-3]],
    ["2×2", [2, 1, 1, 2], [3, 1]],
    ["a diagonal", [1, 0, 0, 0, 7, 0, 0, 0, -2], [7, 1, -2]],
    ["3×3 with a double eigenvalue", [4, 1, 1, 1, 4, 1, 1, 1, 4], [6, 3, 3]],
    ["3×3, tridiagonal", [2, -1, 0, -1, 2, -1, 0, -1, 2], [2 + Math.SQRT2, 2, 2 - Math.SQRT2]],
    ["all zero", [0, 0, 0, 0], [0, 0]],
    ["of rank one", [1, 2, 3, 2, 4, 6, 3, 6, 9], [14, 0, 0]],
  ])("%s, by hand", (_, matrix, wanted) => {
    const n = wanted.length;
    expect(symmetricEigenvalues(Float64Array.from(matrix), n)).toBeAllclose(wanted, {
      rtol: 1e-14,
      atol: 1e-14,
    });
  });

  test("a Hilbert matrix's spread of ten decimal powers", () => {
    const n = 8;
    const hilbert = Float64Array.from(
      { length: n * n },
      (_, i) => 1 / (1 + (i % n) + ((i / n) | 0)),
    );
    const eigenvalues = symmetricEigenvalues(hilbert, n);
    expect(eigenvalues[0]).toBeCloseTo(1.6959389969219, 12);
    expect(Math.abs(eigenvalues[7] - 1.11153896632e-10)).toBeLessThan(1e-15);
  });

  test("trace, Frobenius norm and trace of the cube are those of the matrix, which stays as it was", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.integer(), fc.boolean(), (n, seed, flat) => {
        const matrix = symmetric(n, seed, flat ? Math.ceil(n / 3) : n);
        const before = matrix.slice();
        const eigenvalues = symmetricEigenvalues(matrix, n);
        expect(matrix).toEqual(before);
        expect([...eigenvalues]).toEqual([...eigenvalues].sort((a, b) => b - a));
        const powers = [1, 2, 3].map((p) => eigenvalues.reduce((sum, x) => sum + x ** p, 0));
        let [trace, square, cube] = [0, 0, 0];
        for (let i = 0; i < n; i++) {
          trace += matrix[i * n + i];
          for (let j = 0; j < n; j++) {
            square += matrix[i * n + j] ** 2;
            for (let k = 0; k < n; k++) {
              cube += matrix[i * n + j] * matrix[j * n + k] * matrix[k * n + i];
            }
          }
        }
        const scale = Math.max(...eigenvalues.map(Math.abs));
        expect(powers).toBeAllclose([trace, square, cube], {
          rtol: 1e-11,
          atol: 1e-11 * (1 + scale ** 3),
        });
      }),
    );
  });

  test("a matrix with NaN is an error, not an endless loop", () => {
    expect(() => symmetricEigenvalues(new Float64Array(9).fill(Number.NaN), 3)).toThrow(
      "internal:",
    );
  });
});

describe("covariance", () => {
  const rows = [Float32Array.of(1, 2, 3, 6)]; // means 2 and 4

  test("of two rows, by hand", async () => {
    expect([...(await covariance(rows, 2))]).toEqual([1, 2, 2, 4]);
  });

  test("does not depend on how the rows come in blocks, nor lose digits to a large mean", async () => {
    const d = 3;
    const data = draw("rows", 40 * d).map((x) => x + 3000);
    const whole = await covariance([data], d);
    const parts = [data.subarray(0, d), data.subarray(d, 7 * d), data.subarray(7 * d)];
    expect(await covariance(parts, d)).toEqual(whole);
    const centred = data.map((x) => x - 3000); // exact
    expect(whole).toBeAllclose(await covariance([centred], d), { rtol: 1e-9, atol: 1e-9 });
  });

  test("of no rows is an error", async () => {
    await expect(covariance([], 2)).rejects.toThrow("internal: the covariance of no rows");
  });
});

describe("pcaFvu", () => {
  // Covariance diag(2, 1/2).
  const cross = [Float32Array.of(2, 0, -2, 0, 0, 1, 0, -1)];

  test("by hand: everything at rank 0, nothing at full rank, shares in between", async () => {
    expect(await pcaFvu(cross, 2, 0)).toBe(1);
    expect(await pcaFvu(cross, 2, 1)).toBeCloseTo(0.2, 14);
    expect(await pcaFvu(cross, 2, 2)).toBe(0);
    expect(await pcaFvu(cross, 2, 0.5)).toBeCloseTo(0.6, 14);
    expect(await pcaFvu(cross, 2, 1.25)).toBeCloseTo(0.15, 14);
  });

  test("falls with the rank and is never below zero, also for rows of a low rank", async () => {
    const [n, d, rank] = [50, 9, 3];
    const [left, right] = [draw("left", n * rank), draw("right", rank * d)];
    const rows = new Float32Array(n * d);
    for (let i = 0; i < n * d; i++) {
      for (let k = 0; k < rank; k++) {
        rows[i] += left[((i / d) | 0) * rank + k] * right[k * d + (i % d)];
      }
    }
    const shares: number[] = [];
    for (let k = 0; k <= d; k++) shares.push(await pcaFvu([rows], d, k));
    expect(shares[0]).toBe(1);
    for (let k = 1; k <= d; k++) {
      expect(shares[k]).toBeLessThanOrEqual(shares[k - 1]);
      expect(shares[k]).toBeGreaterThanOrEqual(0);
    }
    expect(shares[rank - 1]).toBeGreaterThan(0.01);
    expect(shares[rank]).toBeLessThan(1e-12);
  });

  test("rows that don't vary have none to explain", async () => {
    expect(await pcaFvu([Float32Array.of(5, 7, 5, 7)], 2, 1)).toBeNaN();
  });

  test.each([[-1], [3], [Number.NaN]])("a rank of %d is refused", async (rank) => {
    await expect(pcaFvu(cross, 2, rank)).rejects.toThrow(`internal: rank ${rank} of 2`);
  });
});

const script = `
import sys, json, numpy as np
rows = np.array(json.load(open(sys.argv[1])))
cov = np.cov(rows.T, bias=True)
centred = rows - rows.mean(0)
u, s, vt = np.linalg.svd(centred, full_matrices=False)
left = [float(((centred - (u[:, :k] * s[:k]) @ vt[:k]) ** 2).sum() / (centred ** 2).sum()) for k in range(rows.shape[1] + 1)]
print(json.dumps([np.linalg.eigvalsh(cov)[::-1].tolist(), left]))
`;

python.test("eigenvalues and floors equal numpy's", async (run) => {
  const [n, d] = [60, 17];
  const rows = draw("numpy", n * d).map((x, i) => x * 3 ** -(i % d) + (i % 5));
  const nested = Array.from({ length: n }, (_, i) => [...rows.subarray(i * d, (i + 1) * d)]);
  writeFileSync(at("rows.json"), JSON.stringify(nested));
  const [eigenvalues, left] = JSON.parse(await run(script, [at("rows.json")])) as number[][];
  expect(symmetricEigenvalues(await covariance([rows], d), d)).toBeAllclose(eigenvalues, {
    rtol: 1e-9,
    atol: 1e-14,
  });
  for (let k = 0; k <= d; k++) {
    expect([await pcaFvu([rows], d, k)]).toBeAllclose([left[k]], { rtol: 1e-6, atol: 1e-13 });
  }
});

/** A random symmetric matrix: a sum of `terms` outer products with signs. */
function symmetric(n: number, seed: number, terms: number): Float64Array {
  const rng = createRng(seed);
  const out = new Float64Array(n * n);
  for (let t = 0; t < terms; t++) {
    const v = Float64Array.from({ length: n }, () => rng.normal());
    const sign = rng.next() < 0.5 ? -1 : 1;
    for (let i = 0; i < n * n; i++) out[i] += sign * v[(i / n) | 0] * v[i % n];
  }
  return out;
}
