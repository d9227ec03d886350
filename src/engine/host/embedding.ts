/** The gradient of a table lookup as a plain loop. */

/** out [V, d]: row r is the sum of those rows of dy [n, d] whose id is r, in their order. */
export function embeddingBackward(
  dy: Float32Array, // [n, d]
  ids: Int32Array, // [n]
  d: number,
  out: Float32Array, // [V, d]
): void {
  out.fill(0);
  addRows(dy, ids, d, out);
}

/** Adds each row of dy [n, d] to the row of sum [V, d] that its id names, in their order. */
export function addRows(
  dy: Float32Array, // [n, d]
  ids: Int32Array, // [n]
  d: number,
  sum: Float32Array, // [V, d]
): void {
  for (let i = 0; i < ids.length; i++) {
    const to = ids[i] * d;
    for (let j = 0; j < d; j++) sum[to + j] += dy[i * d + j];
  }
}
