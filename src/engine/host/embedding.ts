/** The gradient of a table lookup as a plain loop. */

/** out [V, d]: row r is the sum of those rows of dy [n, d] whose id is r, in their order. */
export function embeddingBackward(
  dy: Float32Array, // [n, d]
  ids: Int32Array, // [n]
  d: number,
  out: Float32Array, // [V, d]
): void {
  out.fill(0);
  for (let i = 0; i < ids.length; i++) {
    const to = ids[i] * d;
    for (let j = 0; j < d; j++) out[to + j] += dy[i * d + j];
  }
}
