/**
 * A `hostOp` that makes gradients and adds the first of them to what is known of it already, in place, where the backend's
 * tensors may be written anew: the stream that a block reads passes it by too, so its gradient would otherwise be
 * written, read again for the sum, and written a second time.
 */
import { hostKernels } from "./host/kernels.ts";
import { hostOp, hostView } from "./host-memory.ts";
import type { tf } from "./tf.ts";
import { takeGradient } from "./value-and-grads.ts";

/**
 * `hostOp` of gradients, the first of them with respect to `x`; `compute` adds that one to what its array holds when
 * `adds`, and writes the others.
 */
export function gradientOp(
  x: tf.Tensor,
  shapes: readonly (readonly number[])[],
  inputs: readonly tf.Tensor[],
  compute: (outputs: Float32Array[], inputs: Float32Array[], adds: boolean) => void,
): tf.Tensor[] {
  const known = hostKernels().updatesInPlace ? takeGradient(x) : undefined;
  if (!known) return hostOp(shapes, inputs, (out, read) => compute(out, read, false));
  const sum = hostView(known);
  if (!sum) throw new Error("internal: expected gradients in host memory");
  const others = hostOp(shapes.slice(1), inputs, (out, read) => compute([sum, ...out], read, true));
  return [known, ...others];
}
