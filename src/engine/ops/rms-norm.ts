/** RMS norm over the last axis; the composite form is the specification, the fused one runs on host memory. */
import { gradientOp } from "../gradient-op.ts";
import { hostKernels } from "../host/kernels.ts";
import { hasHostMemory, hostOp } from "../host-memory.ts";
import { tf } from "../tf.ts";

/**
 * gain·x/√(mean x² + eps) for x [n, d], gain [d]. Differentiable in both. For a norm of each head (Qwen3's of q
 * and k), reshape [B·T, H·dh] to [B·T·H, dh] and back.
 */
export function rmsNorm(x: tf.Tensor2D, gain: tf.Tensor1D, eps: number): tf.Tensor2D {
  return hasHostMemory() ? fused(x, gain, eps) : rmsNormComposite(x, gain, eps);
}

/** `rmsNorm` out of the engine's own operations. */
export function rmsNormComposite(x: tf.Tensor2D, gain: tf.Tensor1D, eps: number): tf.Tensor2D {
  const meanSquare = tf.mean(tf.square(x), 1, true);
  return tf.mul(tf.mul(x, tf.rsqrt(tf.add(meanSquare, eps))), gain) as tf.Tensor2D;
}

function fused(x: tf.Tensor2D, gain: tf.Tensor1D, eps: number): tf.Tensor2D {
  const [n, d] = x.shape;
  return tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [xs, gs] = args as tf.Tensor[];
    const save = args[2] as tf.GradSaveFunc;
    const [y, rstd] = hostOp([[n, d], [n]], [xs, gs], (out, [xi, gi]) =>
      hostKernels().rmsNormForward(xi, gi, eps, out[0], out[1]),
    );
    save([xs, rstd, gs]);
    return {
      value: y,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) =>
        gradientOp(x, [[n, d], [d]], [dy, ...saved], (out, [dyi, xi, r, g], adds) =>
          hostKernels().rmsNormBackward(dyi, xi, r, g, out[0], out[1], adds),
        ),
    };
  })(x, gain) as tf.Tensor2D;
}
