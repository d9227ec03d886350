/** Affine map x·w + b. */
import { hostKernels } from "../host/kernels.ts";
import { tf } from "../tf.ts";
import { timesTransposed, transposedTimes } from "./product.ts";

/** How the weights lie. */
export interface LinearOptions {
  /** Whether w is [dout, din], as PyTorch's `nn.Linear` keeps it. Default: false, [din, dout]. */
  readonly transposed?: boolean;
}

/** x [n, din] · w [din, dout] (+ b [dout]) → [n, dout]; with `transposed`, x·wᵀ + b. Differentiable in all three. */
export function linear(
  x: tf.Tensor2D,
  w: tf.Tensor2D,
  b?: tf.Tensor1D,
  { transposed = false }: LinearOptions = {},
): tf.Tensor2D {
  return tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [left, right] = args as tf.Tensor2D[];
    const bias = b ? (args[2] as tf.Tensor1D) : undefined;
    const save = args[args.length - 1] as tf.GradSaveFunc;
    save([left, right]);
    return {
      value: product(left, right, transposed, bias),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [xs, ws] = saved as tf.Tensor2D[];
        const slope = dy as tf.Tensor2D;
        const grads = transposed
          ? [tf.matMul(slope, ws), transposedTimes(slope, xs)]
          : [timesTransposed(slope, ws), transposedTimes(xs, slope)];
        return bias ? [...grads, tf.sum(slope, 0)] : grads;
      },
    };
  })(...(b ? [x, w, b] : [x, w])) as tf.Tensor2D;
}

/** x·w (or x·wᵀ) + bias, in one operation. */
function product(
  x: tf.Tensor2D,
  w: tf.Tensor2D,
  transposed: boolean,
  bias: tf.Tensor1D | undefined,
): tf.Tensor2D {
  if (!bias) return transposed ? timesTransposed(x, w) : tf.matMul(x, w);
  const lies = transposed && hostKernels().takesTransposed;
  const b = transposed && !lies ? (tf.transpose(w) as tf.Tensor2D) : w;
  // wasm goes by the shape under which the numbers were made: a bias that was reshaped since is copied first
  const row = tf.getBackend() === "wasm" ? tf.slice(bias, 0, bias.size) : bias;
  return tf.fused.matMul({ a: x, b, transposeB: lies, bias: row }) as tf.Tensor2D;
}
