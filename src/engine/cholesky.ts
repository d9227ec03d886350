/**
 * Cholesky factor of a small symmetric positive definite matrix, in f64, and the triangular solves that ridge
 * regression, pseudo-inverses, whitening and covariance-matched draws are made of.
 */

/**
 * The lower factor L of a = L Lᵀ, row-major [n, n]; only the lower half of `a` is read.
 * Errors: `internal:` when `a` is not positive definite.
 */
export function cholesky(a: Float64Array, n: number): Float64Array {
  const L = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j];
      for (let k = 0; k < j; k++) sum -= L[i * n + k] * L[j * n + k];
      if (i === j) {
        if (!(sum > 0)) throw new Error(`internal: not positive definite at row ${i} of ${n}`);
        L[i * n + i] = Math.sqrt(sum);
      } else {
        L[i * n + j] = sum / L[j * n + j];
      }
    }
  }
  return L;
}

/** Replaces b [n] by L⁻¹ b. */
export function solveLower(L: Float64Array, n: number, b: Float64Array): void {
  for (let i = 0; i < n; i++) {
    let sum = b[i];
    for (let k = 0; k < i; k++) sum -= L[i * n + k] * b[k];
    b[i] = sum / L[i * n + i];
  }
}

/** Replaces b [n] by (L Lᵀ)⁻¹ b. */
export function solveCholesky(L: Float64Array, n: number, b: Float64Array): void {
  solveLower(L, n, b);
  // Column-wise, so that L is read along its rows.
  for (let i = n - 1; i >= 0; i--) {
    b[i] /= L[i * n + i];
    for (let k = 0; k < i; k++) b[k] -= L[i * n + k] * b[i];
  }
}
