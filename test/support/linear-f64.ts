/** @file Naive linear algebra in f64, for references only. */

/** (AᵀA)⁻¹Aᵀ of A [m, n] with full column rank, by Gauss–Jordan elimination with pivoting: [n, m]. */
export function naivePinv(A: Float64Array, m: number, n: number): Float64Array {
  const width = n + m;
  const rows = Array.from({ length: n }, (_, i) => {
    const row = new Float64Array(width);
    for (let j = 0; j < n; j++) {
      for (let k = 0; k < m; k++) row[j] += A[k * n + i] * A[k * n + j];
    }
    for (let k = 0; k < m; k++) row[n + k] = A[k * n + i];
    return row;
  });
  for (let column = 0; column < n; column++) {
    let pivot = column;
    for (let i = column; i < n; i++) {
      if (Math.abs(rows[i][column]) > Math.abs(rows[pivot][column])) pivot = i;
    }
    [rows[column], rows[pivot]] = [rows[pivot], rows[column]];
    const lead = rows[column][column];
    rows[column] = rows[column].map((value) => value / lead);
    for (let i = 0; i < n; i++) {
      const factor = rows[i][column];
      if (i !== column) rows[i] = rows[i].map((value, j) => value - factor * rows[column][j]);
    }
  }
  return Float64Array.from(rows.flatMap((row) => [...row.subarray(n)]));
}
