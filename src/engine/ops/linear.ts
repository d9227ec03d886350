/** Affine map x·w + b. */
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
  const product = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [left, right] = args as tf.Tensor2D[];
    const save = args[args.length - 1] as tf.GradSaveFunc;
    save([left, right]);
    return {
      value: transposed ? timesTransposed(left, right) : tf.matMul(left, right),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [xs, ws] = saved as tf.Tensor2D[];
        const slope = dy as tf.Tensor2D;
        return transposed
          ? [tf.matMul(slope, ws), transposedTimes(slope, xs)]
          : [timesTransposed(slope, ws), transposedTimes(xs, slope)];
      },
    };
  })(x, w) as tf.Tensor2D;
  return b ? (tf.add(product, b) as tf.Tensor2D) : product;
}
