/** GPT-2's GELU (tanh approximation); the composite form is the specification, the fused one runs on host memory. */
import { hostKernels } from "../host/kernels.ts";
import { hasHostMemory, hostOp } from "../host-memory.ts";
import { tf } from "../tf.ts";

/** gelu_new(x), element-wise, any shape. Differentiable. */
export function gelu<T extends tf.Tensor>(x: T): T {
  return hasHostMemory() ? fused(x) : geluComposite(x);
}

/** `gelu` out of the engine's own operations. */
export function geluComposite<T extends tf.Tensor>(x: T): T {
  const cubed = tf.mul(tf.square(x), x);
  const inner = tf.mul(Math.sqrt(2 / Math.PI), tf.add(x, tf.mul(0.044715, cubed)));
  return tf.mul(tf.mul(0.5, x), tf.add(1, tf.tanh(inner))) as T;
}

function fused<T extends tf.Tensor>(x: T): T {
  return tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const input = args[0] as tf.Tensor;
    const save = args[1] as tf.GradSaveFunc;
    const [y] = hostOp([input.shape], [input], ([out], [xi]) => hostKernels().geluForward(xi, out));
    save([input]);
    return {
      value: y,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) =>
        hostOp([input.shape], [dy, ...saved], ([out], [dyi, xi]) =>
          hostKernels().geluBackward(dyi, xi, out),
        ),
    };
  })(x) as T;
}
