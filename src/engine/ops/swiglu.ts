/** SwiGLU; the composite form is the specification, the fused one runs on host memory. */
import { hostKernels } from "../host/kernels.ts";
import { hasHostMemory, hostOp } from "../host-memory.ts";
import { tf } from "../tf.ts";

/** silu(gate)·up, element-wise, both of one shape; silu(x) = x/(1 + e^−x). Differentiable in both. */
export function swiglu<T extends tf.Tensor>(gate: T, up: T): T {
  return hasHostMemory() ? fused(gate, up) : swigluComposite(gate, up);
}

/** `swiglu` out of the engine's own operations. */
export function swigluComposite<T extends tf.Tensor>(gate: T, up: T): T {
  return tf.mul(tf.mul(gate, tf.sigmoid(gate)), up) as T;
}

function fused<T extends tf.Tensor>(gate: T, up: T): T {
  return tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [gates, ups] = args as tf.Tensor[];
    const save = args[2] as tf.GradSaveFunc;
    const [y] = hostOp([gates.shape], [gates, ups], ([out], [g, u]) =>
      hostKernels().swigluForward(g, u, out),
    );
    save([gates, ups]);
    return {
      value: y,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) =>
        hostOp([dy.shape, dy.shape], [dy, ...saved], ([dgate, dup], [dyi, g, u]) =>
          hostKernels().swigluBackward(dyi, g, u, dgate, dup),
        ),
    };
  })(gate, up) as T;
}
