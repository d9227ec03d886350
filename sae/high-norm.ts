/**
 * @file Tokens of large norm: attention sinks and delimiters whose activations are tens to thousands of times as
 * long as others, which a squared error is made of. Left out by a multiple of the median norm, after
 * dictionary_learning's `max_activation_norm_multiple` (10 in its demo).
 */
import { rowNorms } from "./kernels/row-norms.ts";
import { quantile } from "./persistence/quantile.ts";

/** The largest norm that is kept: `ratio` times the median norm of `rows` [n, width]; NaN without rows. */
export function normLimit(rows: Float32Array, width: number, ratio: number): number {
  return ratio * quantile(rowNorms(rows, width), 0.5);
}

/** For each row of [n, width], 1 where its norm is above `limit`. */
export function rowsAbove(rows: Float32Array, width: number, limit: number): Uint8Array {
  return Uint8Array.from(rowNorms(rows, width), (norm) => (norm > limit ? 1 : 0));
}
