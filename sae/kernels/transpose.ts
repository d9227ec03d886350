/** @file Matrix transposition in host memory: the encoder is kept latent-major and uploaded [d_in, d_sae]. */

/** Transposes `matrix` [rows, cols] into `out` [cols, rows], in tiles that stay in the cache. */
export function transposeInto(
  matrix: Float32Array,
  rows: number,
  cols: number,
  out: Float32Array,
): void {
  const tile = 16;
  for (let r0 = 0; r0 < rows; r0 += tile) {
    const r1 = Math.min(rows, r0 + tile);
    for (let c0 = 0; c0 < cols; c0 += tile) {
      const c1 = Math.min(cols, c0 + tile);
      for (let r = r0; r < r1; r++) {
        for (let c = c0; c < c1; c++) out[c * rows + r] = matrix[r * cols + c];
      }
    }
  }
}

/** `matrix` [rows, cols] as a new array [cols, rows]; numbers keep their bits. */
export function transposed(matrix: Float32Array, rows: number, cols: number): Float32Array {
  const out = new Float32Array(matrix.length);
  transposeInto(matrix, rows, cols, out);
  return out;
}
