/** Affine map x·w + b. */
import { tf } from "../tf.ts";
import { timesTransposed, transposedTimes } from "./product.ts";

/** x [n, din] · w [din, dout] (+ b [dout]) → [n, dout]. Differentiable in all three. */
export function linear(x: tf.Tensor2D, w: tf.Tensor2D, b?: tf.Tensor1D): tf.Tensor2D {
  const product = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [left, right] = args as tf.Tensor2D[];
    const save = args[args.length - 1] as tf.GradSaveFunc;
    save([left, right]);
    return {
      value: tf.matMul(left, right),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [xs, ws] = saved as tf.Tensor2D[];
        return [timesTransposed(dy as tf.Tensor2D, ws), transposedTimes(xs, dy as tf.Tensor2D)];
      },
    };
  })(x, w) as tf.Tensor2D;
  return b ? (tf.add(product, b) as tf.Tensor2D) : product;
}
