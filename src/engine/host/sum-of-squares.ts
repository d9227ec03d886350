/** The squared norm of an array as a plain loop, in f64 (JavaScript numbers). */

/** Σx². */
export function sumOfSquares(x: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * x[i];
  return sum;
}
