/** A table lookup and its gradient as plain loops. */

/** out [n, d]: the rows of the table that the ids name. */
export function embeddingForward(
  table: Float32Array, // [V, d]
  ids: Int32Array, // [n]
  d: number,
  out: Float32Array, // [n, d]
): void {
  for (let i = 0; i < ids.length; i++) {
    out.set(table.subarray(ids[i] * d, (ids[i] + 1) * d), i * d);
  }
}

/**
 * Adds each row of dy [n, d] to the row of sum [V, d] that its id names, in their order: to what is there where `adds`,
 * else to zeros.
 */
export function embeddingBackward(
  dy: Float32Array, // [n, d]
  ids: Int32Array, // [n]
  d: number,
  sum: Float32Array, // [V, d]
  adds: boolean,
): void {
  if (!adds) sum.fill(0);
  for (let i = 0; i < ids.length; i++) {
    const to = ids[i] * d;
    for (let j = 0; j < d; j++) sum[to + j] += dy[i * d + j];
  }
}
