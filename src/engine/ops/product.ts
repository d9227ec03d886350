/**
 * Products with a transposed operand, for gradients. The wasm backend's transposed products run 15–50 times
 * slower than its plain one, so there the operand is transposed first; a backend whose kernels say that they
 * take operands as they lie gets them so.
 */
import { hostKernels } from "../host/kernels.ts";
import { tf } from "../tf.ts";

/** a·bᵀ for a [m, k], b [n, k]. */
export function timesTransposed(a: tf.Tensor2D, b: tf.Tensor2D): tf.Tensor2D {
  return hostKernels().takesTransposed
    ? tf.matMul(a, b, false, true)
    : tf.matMul(a, tf.transpose(b));
}

/** aᵀ·b for a [k, m], b [k, n]. */
export function transposedTimes(a: tf.Tensor2D, b: tf.Tensor2D): tf.Tensor2D {
  return hostKernels().takesTransposed
    ? tf.matMul(a, b, true, false)
    : tf.matMul(tf.transpose(a), b);
}
