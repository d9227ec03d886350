/** The exact GELU (GPT-NeoX's `gelu`); the composite form is the specification, the fused one runs on host memory. */
import { hostKernels } from "../host/kernels.ts";
import { hasHostMemory, hostOp } from "../host-memory.ts";
import { tf } from "../tf.ts";

/** x·(1 + erf(x/√2))/2, element-wise, any shape. Differentiable. */
export function geluErf<T extends tf.Tensor>(x: T): T {
  return hasHostMemory() ? fused(x) : geluErfComposite(x);
}

/** `geluErf` out of the engine's own operations. */
export function geluErfComposite<T extends tf.Tensor>(x: T): T {
  return tf.mul(tf.mul(0.5, x), tf.add(1, tf.erf(tf.mul(x, Math.SQRT1_2)))) as T;
}

function fused<T extends tf.Tensor>(x: T): T {
  return tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const input = args[0] as tf.Tensor;
    const save = args[1] as tf.GradSaveFunc;
    const [y] = hostOp([input.shape], [input], ([out], [xi]) =>
      hostKernels().geluErfForward(xi, out),
    );
    save([input]);
    return {
      value: y,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) =>
        hostOp([input.shape], [dy, ...saved], ([out], [dyi, xi]) =>
          hostKernels().geluErfBackward(dyi, xi, out),
        ),
    };
  })(x) as T;
}
