/**
 * @file Row norms of a matrix: measuring them, holding them at given values, and removing from a
 * gradient what would change them (Bricken et al. 2023, the constrained decoder).
 */

/** Euclidean norm of each row of `matrix` [n, d]. */
export function rowNorms(matrix: Float32Array, d: number): Float32Array {
  const norms = new Float32Array(matrix.length / d);
  for (let i = 0; i < norms.length; i++) {
    let sum = 0;
    for (let j = i * d; j < (i + 1) * d; j++) sum += matrix[j] * matrix[j];
    norms[i] = Math.sqrt(sum);
  }
  return norms;
}

/** Rescales each row of `matrix` [n, d] to `norms` [n] in place; zero rows stay zero. */
export function setRowNorms(matrix: Float32Array, norms: Float32Array): void {
  const d = matrix.length / norms.length;
  for (let i = 0; i < norms.length; i++) {
    const from = i * d;
    const to = from + d;
    let sum = 0;
    for (let j = from; j < to; j++) sum += matrix[j] * matrix[j];
    if (sum === 0) continue;
    const factor = norms[i] / Math.sqrt(sum);
    for (let j = from; j < to; j++) matrix[j] *= factor;
  }
}

/** Removes from each row of `gradient` its component along the same row of `matrix`, in place. */
export function projectOutRows(gradient: Float32Array, matrix: Float32Array, d: number): void {
  for (let from = 0; from < matrix.length; from += d) {
    const to = from + d;
    let dot = 0;
    let sum = 0;
    for (let j = from; j < to; j++) {
      dot += gradient[j] * matrix[j];
      sum += matrix[j] * matrix[j];
    }
    if (sum === 0) continue;
    const factor = dot / sum;
    for (let j = from; j < to; j++) gradient[j] -= factor * matrix[j];
  }
}
