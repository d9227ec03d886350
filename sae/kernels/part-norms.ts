/**
 * @file Norms of the parts that decoder rows are made of, such as a crosscoder's two models: their sums, which an L1
 * penalty weighs activations by, and the gradient of a penalty on them.
 */
import type { PartPenalty } from "../training/step-kernels.ts";

/** Σ_s ‖part s‖ of each row of `matrix` [n, d]; the widths of the parts add up to d. */
export function partNormSums(matrix: Float32Array, widths: readonly number[]): Float32Array {
  const d = widths.reduce((sum, width) => sum + width, 0);
  const sums = new Float32Array(matrix.length / d);
  for (let i = 0; i < sums.length; i++) {
    let from = i * d;
    for (const width of widths) {
      sums[i] += norm(matrix, from, from + width);
      from += width;
    }
  }
  return sums;
}

/** Adds c_i · part/‖part‖ to each row of `gradient` [n, d]; a part of zeros has no gradient. */
export function addPartPenalty(
  { widths, coefficients }: PartPenalty,
  matrix: Float32Array,
  d: number,
  gradient: Float32Array,
): void {
  for (let i = 0; i < coefficients.length; i++) {
    if (coefficients[i] === 0) continue;
    let from = i * d;
    for (const width of widths) {
      const to = from + width;
      const size = norm(matrix, from, to);
      if (size > 0) {
        const factor = coefficients[i] / size;
        for (let j = from; j < to; j++) gradient[j] += factor * matrix[j];
      }
      from = to;
    }
  }
}

function norm(values: Float32Array, from: number, to: number): number {
  let squares = 0;
  for (let j = from; j < to; j++) squares += values[j] * values[j];
  return Math.sqrt(squares);
}
