/** Causal self-attention over a joint q|k|v matrix; the composite form is the specification, the fused one runs on host memory. */
import type { AttentionShape } from "../host/causal-attention.ts";
import { hostKernels } from "../host/kernels.ts";
import { hasHostMemory, hostOp } from "../host-memory.ts";
import { tf } from "../tf.ts";

/** qkv [B·T, 3·H·dh] → z [B·T, H·dh]: softmax(q kᵀ/√dh) v under the causal mask. Differentiable in qkv. */
export function causalAttention(qkv: tf.Tensor2D, shape: AttentionShape): tf.Tensor2D {
  if (!hasHostMemory()) return attentionComposite(qkv, shape);
  const { batch, context, heads, headDim } = shape;
  const n = batch * context;
  return tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const input = args[0] as tf.Tensor;
    const save = args[1] as tf.GradSaveFunc;
    const [z, pattern] = hostOp(
      [
        [n, heads * headDim],
        [batch, heads, context, context],
      ],
      [input],
      (out, [x]) => hostKernels().attentionForward(x, shape, out[0], out[1]),
    );
    save([input, pattern]);
    return {
      value: z,
      gradFunc: (dz: tf.Tensor, saved: tf.Tensor[]) =>
        hostOp([[n, 3 * heads * headDim]], [dz, ...saved], (out, [dzi, x, p]) =>
          hostKernels().attentionBackward(dzi, x, p, shape, out[0]),
        ),
    };
  })(qkv) as tf.Tensor2D;
}

/** The attention probabilities [B, H, T, T] of a joint q|k|v matrix. Differentiable. */
export function attentionPattern(qkv: tf.Tensor2D, shape: AttentionShape): tf.Tensor4D {
  return tf.tidy(() => patternAndValues(qkv, shape).pattern);
}

/** `causalAttention` out of the engine's own operations; `editPattern` may replace the probabilities (hook_pattern). */
export function attentionComposite(
  qkv: tf.Tensor2D,
  shape: AttentionShape,
  editPattern: (pattern: tf.Tensor4D) => tf.Tensor4D = (pattern) => pattern,
): tf.Tensor2D {
  const { batch, context, heads, headDim } = shape;
  const { pattern, values } = patternAndValues(qkv, shape);
  const z = tf.matMul(editPattern(pattern), values); // [B, H, T, dh]
  return tf.reshape(tf.transpose(z, [0, 2, 1, 3]), [batch * context, heads * headDim]);
}

function patternAndValues(
  qkv: tf.Tensor2D,
  { batch, context, heads, headDim }: AttentionShape,
): { pattern: tf.Tensor4D; values: tf.Tensor4D } {
  const width = heads * headDim;
  const part = (index: number): tf.Tensor4D =>
    tf.transpose(
      tf.reshape(tf.slice(qkv, [0, index * width], [-1, width]), [batch, context, heads, headDim]),
      [0, 2, 1, 3],
    ) as tf.Tensor4D;
  const scores = tf.mul(
    tf.matMul(part(0), tf.transpose(part(1), [0, 1, 3, 2])),
    1 / Math.sqrt(headDim),
  );
  const mask = new Float32Array(context * context);
  for (let t = 0; t < context; t++) mask.fill(-1e30, t * context + t + 1, (t + 1) * context);
  const masked = tf.add(scores, tf.tensor(mask, [1, 1, context, context]));
  return { pattern: tf.softmax(masked, 3) as tf.Tensor4D, values: part(2) };
}
