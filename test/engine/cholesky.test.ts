import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cholesky, createRng, solveCholesky, solveLower } from "../../src/engine/index.ts";

describe("cholesky", () => {
  it("factors and solves random positive definite systems", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 8 }), (seed, n) => {
        const rng = createRng(seed);
        const m = Float64Array.from({ length: n * n }, () => rng.normal());
        const a = new Float64Array(n * n);
        for (let i = 0; i < n; i++) {
          for (let j = 0; j < n; j++) {
            for (let k = 0; k < n; k++) a[i * n + j] += m[i * n + k] * m[j * n + k];
          }
          a[i * n + i] += 0.1;
        }
        const L = cholesky(a, n);
        const x = Float64Array.from({ length: n }, () => rng.normal());
        const b = new Float64Array(n);
        const half = new Float64Array(n);
        for (let i = 0; i < n; i++) {
          for (let j = 0; j < n; j++) {
            b[i] += a[i * n + j] * x[j];
            half[i] += L[i * n + j] * x[j];
          }
        }
        solveCholesky(L, n, b);
        solveLower(L, n, half);
        expect(b).toBeAllclose(x, { rtol: 1e-8, atol: 1e-9 });
        expect(half).toBeAllclose(x, { rtol: 1e-8, atol: 1e-9 });
      }),
      { numRuns: 40 },
    );
  });

  it("refuses a matrix that is not positive definite", () => {
    expect(() => cholesky(Float64Array.of(1, 2, 2, 1), 2)).toThrow("internal: not positive");
  });
});
