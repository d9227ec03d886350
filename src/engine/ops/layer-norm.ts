/** Layer norm over the last axis; the composite form is the specification, the fused one runs on host memory. */
import { gradientOp } from "../gradient-op.ts";
import { hostKernels } from "../host/kernels.ts";
import { hasHostMemory, hostOp } from "../host-memory.ts";
import { tf } from "../tf.ts";

/** gain·(x − mean)/√(var + eps) + bias for x [n, d]; gain, bias [d]. Differentiable in x, gain, bias. */
export function layerNorm(
  x: tf.Tensor2D,
  gain: tf.Tensor1D,
  bias: tf.Tensor1D,
  eps: number,
): tf.Tensor2D {
  return hasHostMemory() ? fused(x, gain, bias, eps) : layerNormComposite(x, gain, bias, eps);
}

/** `layerNorm` out of the engine's own operations. */
export function layerNormComposite(
  x: tf.Tensor2D,
  gain: tf.Tensor1D,
  bias: tf.Tensor1D,
  eps: number,
): tf.Tensor2D {
  const centred = tf.sub(x, tf.mean(x, 1, true));
  const variance = tf.mean(tf.square(centred), 1, true);
  const normal = tf.mul(centred, tf.rsqrt(tf.add(variance, eps)));
  return tf.add(tf.mul(normal, gain), bias) as tf.Tensor2D;
}

function fused(x: tf.Tensor2D, gain: tf.Tensor1D, bias: tf.Tensor1D, eps: number): tf.Tensor2D {
  const [n, d] = x.shape;
  return tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [xs, gs, bs] = args as tf.Tensor[];
    const save = args[args.length - 1] as tf.GradSaveFunc;
    const [y, mean, rstd] = hostOp([[n, d], [n], [n]], [xs, gs, bs], (out, [xi, gi, bi]) =>
      hostKernels().layerNormForward(xi, gi, bi, eps, out[0], out[1], out[2]),
    );
    save([xs, mean, rstd, gs]);
    return {
      value: y,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) =>
        gradientOp(x, [[n, d], [d], [d]], [dy, ...saved], (out, [dyi, xi, m, r, g], adds) =>
          hostKernels().layerNormBackward(dyi, xi, m, r, g, out[0], out[1], out[2], adds),
        ),
    };
  })(x, gain, bias) as tf.Tensor2D;
}
