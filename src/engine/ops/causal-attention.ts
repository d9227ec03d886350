/**
 * Causal self-attention with grouped queries and rotary positions, over a joint q|k|v matrix or over three. The
 * composite form is the specification, the fused one runs on host memory.
 */
import type { AttentionShape, HeadArrays } from "../host/causal-attention.ts";
import { hostKernels } from "../host/kernels.ts";
import { rotaryTable } from "../host/rotary.ts";
import { hasHostMemory, hostOp } from "../host-memory.ts";
import { tf } from "../tf.ts";

/** Queries [B·T, H·dh], keys and values [B·T, KV·dh]: three matrices, or one with those columns in this order. */
export type Projections = tf.Tensor2D | readonly [q: tf.Tensor2D, k: tf.Tensor2D, v: tf.Tensor2D];

/**
 * z [B·T, H·dh] = softmax(q kᵀ/√dh) v under the causal mask, q and k turned by `shape.rotary` first.
 * Differentiable in the projections.
 */
export function causalAttention(projections: Projections, shape: AttentionShape): tf.Tensor2D {
  if (!hasHostMemory()) return attentionComposite(projections, shape);
  const { batch, context, heads, headDim } = shape;
  const inputs = projections instanceof tf.Tensor ? [projections] : [...projections];
  return tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const parts = args.slice(0, -1) as tf.Tensor[];
    const save = args[args.length - 1] as tf.GradSaveFunc;
    const [z, lse] = hostOp(
      [
        [batch * context, heads * headDim],
        [batch, heads, context],
      ],
      parts,
      (out, arrays) => hostKernels().attentionForward(asHeads(arrays), shape, out[0], out[1]),
    );
    save([z, lse, ...parts]);
    return {
      value: z,
      gradFunc: (dz: tf.Tensor, saved: tf.Tensor[]) =>
        hostOp(
          parts.map((part) => part.shape),
          [dz, ...saved],
          (out, [dzi, zi, kept, ...arrays]) =>
            hostKernels().attentionBackward(dzi, zi, asHeads(arrays), kept, shape, asHeads(out)),
        ),
    };
  })(...inputs) as tf.Tensor2D;
}

function asHeads(arrays: Float32Array[]): HeadArrays {
  const [q, k, v] = arrays;
  return arrays.length === 1 ? [q] : [q, k, v];
}

/** The attention probabilities [B, H, T, T]. Differentiable. */
export function attentionPattern(projections: Projections, shape: AttentionShape): tf.Tensor4D {
  return tf.tidy(() => patternAndValues(projections, shape).pattern);
}

/** `causalAttention` out of the engine's own operations; `editPattern` may replace the probabilities (hook_pattern). */
export function attentionComposite(
  projections: Projections,
  shape: AttentionShape,
  editPattern: (pattern: tf.Tensor4D) => tf.Tensor4D = (pattern) => pattern,
): tf.Tensor2D {
  const { batch, context, heads, headDim } = shape;
  const { pattern, values } = patternAndValues(projections, shape);
  const z = tf.matMul(editPattern(pattern), values); // [B, H, T, dh]
  return tf.reshape(tf.transpose(z, [0, 2, 1, 3]), [batch * context, heads * headDim]);
}

function patternAndValues(
  projections: Projections,
  shape: AttentionShape,
): { pattern: tf.Tensor4D; values: tf.Tensor4D } {
  const { context, heads, headDim, kvHeads = heads } = shape;
  const [q, k, v] = threeOf(projections, shape);
  const keys = spread(turned(byHead(k, kvHeads, shape), shape), heads);
  const scores = tf.mul(
    tf.matMul(turned(byHead(q, heads, shape), shape), tf.transpose(keys, [0, 1, 3, 2])),
    1 / Math.sqrt(headDim),
  );
  const mask = new Float32Array(context * context);
  for (let t = 0; t < context; t++) mask.fill(-1e30, t * context + t + 1, (t + 1) * context);
  const masked = tf.add(scores, tf.tensor(mask, [1, 1, context, context]));
  return {
    pattern: tf.softmax(masked, 3) as tf.Tensor4D,
    values: spread(byHead(v, kvHeads, shape), heads),
  };
}

/** q, k and v apart. */
function threeOf(
  projections: Projections,
  { heads, headDim, kvHeads = heads }: AttentionShape,
): readonly [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D] {
  if (!(projections instanceof tf.Tensor)) return projections;
  const [wide, narrow] = [heads * headDim, kvHeads * headDim];
  const columns = (from: number, width: number): tf.Tensor2D =>
    tf.slice(projections, [0, from], [-1, width]);
  return [columns(0, wide), columns(wide, narrow), columns(wide + narrow, narrow)];
}

/** [B·T, h·dh] → [B, h, T, dh]. */
function byHead(
  x: tf.Tensor2D,
  heads: number,
  { batch, context, headDim }: AttentionShape,
): tf.Tensor4D {
  return tf.transpose(tf.reshape(x, [batch, context, heads, headDim]), [0, 2, 1, 3]) as tf.Tensor4D;
}

/** [B, KV, T, dh] → [B, heads, T, dh]: each head as often as query heads read it. */
function spread(x: tf.Tensor4D, heads: number): tf.Tensor4D {
  const [batch, kvHeads, context, headDim] = x.shape;
  if (kvHeads === heads) return x;
  const group = heads / kvHeads;
  const tiled = tf.tile(tf.reshape(x, [batch, kvHeads, 1, context * headDim]), [1, 1, group, 1]);
  return tf.reshape(tiled, [batch, heads, context, headDim]);
}

/** The rotary turn of [B, h, T, dh]. */
function turned(x: tf.Tensor4D, { context, headDim, rotary }: AttentionShape): tf.Tensor4D {
  if (!rotary) return x;
  const half = rotary.frequencies.length;
  const table = rotaryTable(rotary, context);
  const [cos, sin] = [table.cos, table.sin].map((values) =>
    tf.tensor(values.slice(), [1, 1, context, half]),
  );
  const columns = (from: number, width: number): tf.Tensor4D =>
    tf.slice(x, [0, 0, 0, from], [-1, -1, -1, width]);
  const [a, b] = [columns(0, half), columns(half, half)];
  const parts = [
    tf.sub(tf.mul(a, cos), tf.mul(b, sin)),
    tf.add(tf.mul(b, cos), tf.mul(a, sin)),
    ...(2 * half < headDim ? [columns(2 * half, headDim - 2 * half)] : []),
  ];
  return tf.concat(parts, 3) as tf.Tensor4D;
}
