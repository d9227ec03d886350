import fc from "fast-check";
import { expect, test } from "vitest";
import { covariance, pcaFvu, symmetricEigenvalues } from "../../sae/pca.ts";
import { createRng } from "../../src/engine/index.ts";
import { draw } from "./support/random-sae.ts";

test("eigenvalues of a 2 × 2 matrix are those worked out by hand", () => {
  expect(symmetricEigenvalues(Float64Array.of(2, 1, 1, 2), 2)).toBeAllclose([3, 1]);
  expect(symmetricEigenvalues(Float64Array.of(5), 1)).toBeAllclose([5]);
  expect(symmetricEigenvalues(new Float64Array(9), 3)).toBeAllclose([0, 0, 0]);
  expect(symmetricEigenvalues(Float64Array.of(1, 0, 0, 0, 7, 0, 0, 0, -2), 3)).toBeAllclose([
    7, 1, -2,
  ]);
});

test("eigenvalues agree with Jacobi's method, and give the trace and the Frobenius norm", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 14 }), fc.integer(), fc.boolean(), (n, seed, lowRank) => {
      const matrix = gram(draw(seed, n * (lowRank ? Math.ceil(n / 3) : n)), n);
      const got = symmetricEigenvalues(matrix, n);
      const scale = 1 + Math.max(...got);
      expect(got).toBeAllclose(jacobi(matrix, n), { rtol: 0, atol: 1e-12 * scale });
      const trace = Array.from({ length: n }, (_, i) => matrix[i * n + i]).reduce((a, b) => a + b);
      expect(Math.abs(got.reduce((a, b) => a + b) - trace)).toBeLessThan(1e-12 * n * scale);
      const squares = matrix.reduce((sum, x) => sum + x * x, 0);
      const sum = got.reduce((total, x) => total + x * x, 0);
      expect(Math.abs(sum - squares)).toBeLessThan(1e-11 * n * scale * scale);
    }),
  );
});

test("a matrix of 768 dimensions takes seconds", () => {
  const n = 768;
  const rng = createRng(1);
  const matrix = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      const value = rng.next() - 0.5 + (i === j ? i / 10 : 0);
      matrix[i * n + j] = value;
      matrix[j * n + i] = value;
    }
  }
  const got = symmetricEigenvalues(matrix, n);
  const trace = Array.from({ length: n }, (_, i) => matrix[i * n + i]).reduce((a, b) => a + b);
  expect(got.reduce((a, b) => a + b)).toBeCloseTo(trace, 6);
});

test("covariance is that of all rows, however they come in blocks, far from the origin too", async () => {
  const rows = draw("rows", 30 * 3).map((x, at) => x + (at % 3 === 0 ? 1000 : 0));
  const want = new Float64Array(9);
  const mean = [0, 1, 2].map(
    (j) => rows.filter((_, at) => at % 3 === j).reduce((a, b) => a + b) / 30,
  );
  for (let t = 0; t < 30; t++) {
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) {
        want[i * 3 + j] += ((rows[t * 3 + i] - mean[i]) * (rows[t * 3 + j] - mean[j])) / 30;
      }
    }
  }
  const blocks = [rows.subarray(0, 12), rows.subarray(12, 12), rows.subarray(12)];
  expect(await covariance(blocks, 3)).toBeAllclose(want, { rtol: 1e-5, atol: 1e-4 });
  await expect(covariance([], 3)).rejects.toThrow(/no rows/);
});

test("PCA leaves nothing of data of its rank, everything at rank 0, and shares between whole ranks", async () => {
  // two orthogonal directions with variances 4 and 1
  const rows = Float32Array.of(2, 1, 0, -2, 1, 0, 2, -1, 0, -2, -1, 0);
  expect(await pcaFvu([rows], 3, 2)).toBeCloseTo(0, 12);
  expect(await pcaFvu([rows], 3, 1)).toBeCloseTo(0.2, 12);
  expect(await pcaFvu([rows], 3, 0)).toBeCloseTo(1, 12);
  expect(await pcaFvu([rows], 3, 1.5)).toBeCloseTo(0.1, 12);
  expect(await pcaFvu([rows], 3, 3)).toBeCloseTo(0, 12);
  expect(await pcaFvu([Float32Array.of(1, 1, 1, 1)], 2, 1)).toBeNaN();
  await expect(pcaFvu([rows], 3, 4)).rejects.toThrow(/rank 4/);
});

/** A Aᵀ for A [n, m]. */
function gram(a: Float32Array, n: number): Float64Array {
  const m = a.length / n;
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      for (let k = 0; k < m; k++) out[i * n + j] += a[i * m + k] * a[j * m + k];
    }
  }
  return out;
}

/** Eigenvalues by cyclic Jacobi rotations, largest first. */
function jacobi(matrix: Float64Array, n: number): Float64Array {
  const a = matrix.slice();
  for (let sweep = 0; sweep < 60; sweep++) {
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        if (a[p * n + q] === 0) continue;
        const theta = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
        const t = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.hypot(theta, 1));
        const c = 1 / Math.hypot(t, 1);
        const s = t * c;
        for (let k = 0; k < n; k++) {
          const x = a[k * n + p];
          const y = a[k * n + q];
          a[k * n + p] = c * x - s * y;
          a[k * n + q] = s * x + c * y;
        }
        for (let k = 0; k < n; k++) {
          const x = a[p * n + k];
          const y = a[q * n + k];
          a[p * n + k] = c * x - s * y;
          a[q * n + k] = s * x + c * y;
        }
      }
    }
  }
  return Float64Array.from({ length: n }, (_, i) => a[i * n + i])
    .sort()
    .reverse();
}
