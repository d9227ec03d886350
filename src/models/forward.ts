/**
 * The forward pass of every family, out of the blocks it is made of. Written once over the engine's operations,
 * differentiable, with hooks at TransformerLens's points; it runs only as deep as it is asked to.
 */
import {
  type AttentionShape,
  attentionComposite,
  attentionPattern,
  causalAttention,
  embedding,
  linear,
  tf,
} from "../engine/index.ts";
import type { ModelConfig } from "./config.ts";
import { familyOf, modelSizes } from "./families.ts";
import type { Param } from "./family.ts";
import { blockHook, type Hooks, hookNames } from "./hooks.ts";
import { type Model, unembeddingName } from "./model.ts";

/** How a forward pass is watched or changed. */
export interface ForwardOptions {
  readonly hooks?: Hooks;
  /** The last hook to compute: its value is the result. Not a pattern: see `attentionPatterns`. */
  readonly stopAt?: string;
}

/**
 * Runs `batch` sequences of equal length, ids [batch·T], and returns the final norm's output
 * [batch·T, d], or the value at `stopAt`. Call it inside `tf.tidy`.
 * Errors: internal when the ids don't make whole sequences or are longer than the model's context.
 */
export function forwardHidden(
  model: Model,
  ids: Int32Array,
  batch: number,
  { hooks = {}, stopAt }: ForwardOptions = {},
): tf.Tensor2D {
  const { config } = model;
  const family = familyOf(config);
  const sizes = family.sizes(config);
  const context = ids.length / batch;
  if (!Number.isInteger(context) || context < 1 || context > sizes.context) {
    throw new Error(
      `internal: ${ids.length} ids in ${batch} sequences; the model takes 1 to ${sizes.context} tokens a sequence`,
    );
  }
  for (const name of [...Object.keys(hooks), ...(stopAt === undefined ? [] : [stopAt])]) {
    if (!hookNames(config).includes(name)) throw new Error(`internal: no hook ${name}`);
  }
  if (stopAt?.endsWith("hook_pattern")) throw new Error(`internal: can't stop at ${stopAt}`);
  const param = lookUp(model);
  const at = (name: string, value: tf.Tensor2D): tf.Tensor2D =>
    (hooks[name]?.(value, name) as tf.Tensor2D | undefined) ?? value;

  const positions = new Int32Array(ids.length);
  for (let i = 0; i < positions.length; i++) positions[i] = i % context;
  let x = at("hook_embed", embedding(param(family.embedding), ids));
  if (stopAt === "hook_embed") return x;
  const placed = family.positions(param, config, positions);
  if (placed) x = tf.add(x, placed) as tf.Tensor2D;

  const shape = attentionShape(config, batch, context);
  const isParallel = family.isParallel(config);
  for (let layer = 0; layer < sizes.nLayer; layer++) {
    const block = family.block(param, config, layer);
    const names = {
      pre: blockHook(layer, "hook_resid_pre"),
      pattern: blockHook(layer, "attn.hook_pattern"),
      z: blockHook(layer, "attn.hook_z"),
      attnOut: blockHook(layer, "hook_attn_out"),
      mid: blockHook(layer, "hook_resid_mid"),
      mlpOut: blockHook(layer, "hook_mlp_out"),
      out: blockHook(layer, "hook_resid_post"),
    };
    x = at(names.pre, x);
    if (stopAt === names.pre) return x;
    const entering = x;

    const isWatched = (points: readonly string[]): boolean =>
      points.some((name) => hooks[name] !== undefined || name === stopAt);
    const branches = isParallel ? undefined : block.branches;
    if (branches && !isWatched([names.pattern, names.z, names.attnOut])) {
      x = branches.attention(x, shape);
    } else {
      const projections = block.projections(x);
      const patternHook = hooks[names.pattern];
      const z = patternHook
        ? attentionComposite(
            projections,
            shape,
            (pattern) =>
              (patternHook(pattern, names.pattern) as tf.Tensor4D | undefined) ?? pattern,
          )
        : causalAttention(projections, shape);
      const heads = at(names.z, z);
      if (stopAt === names.z) return heads;
      const attnOut = at(names.attnOut, block.attentionOut(heads));
      if (stopAt === names.attnOut) return attnOut;
      x = tf.add(x, attnOut) as tf.Tensor2D;
    }
    if (!isParallel) {
      x = at(names.mid, x);
      if (stopAt === names.mid) return x;
    }

    const points = family.mlpPoints(config).map((point) => blockHook(layer, point));
    if (branches && !isWatched([...points, names.mlpOut])) {
      x = branches.mlp(x);
    } else {
      const mlp = block.mlp(isParallel ? entering : x);
      let step = mlp.next();
      while (!step.done) {
        const name = blockHook(layer, step.value.point);
        const value = isWatched([name]) ? at(name, step.value.value()) : undefined;
        if (value && stopAt === name) return value;
        step = mlp.next(value);
      }
      const mlpOut = at(names.mlpOut, step.value);
      if (stopAt === names.mlpOut) return mlpOut;
      x = tf.add(x, mlpOut) as tf.Tensor2D;
    }
    x = at(names.out, x);
    if (stopAt === names.out) return x;
  }
  return at("ln_final.hook_normalized", family.finalNorm(param, config, x));
}

/** The unembedding [V, d]; the embedding itself where the two are tied. */
export function unembedding(model: Model): tf.Tensor2D {
  return lookUp(model)(unembeddingName(model.config));
}

/** Logits [batch, T, V] of `batch` sequences, ids [batch·T]. Differentiable; call it inside `tf.tidy`. */
export function forwardLogits(
  model: Model,
  ids: Int32Array,
  batch: number,
  options: ForwardOptions = {},
): tf.Tensor3D {
  const hidden = forwardHidden(model, ids, batch, options);
  const logits = linear(hidden, tf.transpose(unembedding(model)));
  return tf.reshape(logits, [batch, ids.length / batch, modelSizes(model.config).vocabSize]);
}

/** The activations [batch·T, width] at a hook; runs only as deep as needed. The caller disposes them. */
export function activationsAt(
  model: Model,
  ids: Int32Array,
  batch: number,
  hook: string,
): tf.Tensor2D {
  return tf.tidy(() => forwardHidden(model, ids, batch, { stopAt: hook }));
}

/**
 * The activations [batch·T, width] at several hooks, in their order, from one pass as deep as the deepest of them.
 * The caller disposes them.
 */
export function activationsAtAll(
  model: Model,
  ids: Int32Array,
  batch: number,
  hooks: readonly string[],
): tf.Tensor2D[] {
  return tf.tidy(() => {
    const values = new Map<string, tf.Tensor2D>();
    const see = (value: tf.Tensor, name: string): undefined => {
      values.set(name, tf.clone(value) as tf.Tensor2D);
    };
    const stopAt = hookNames(model.config).findLast((name) => hooks.includes(name));
    forwardHidden(model, ids, batch, {
      hooks: Object.fromEntries(hooks.map((name) => [name, see])),
      stopAt,
    });
    return hooks.map((name) => values.get(name) as tf.Tensor2D);
  });
}

/** Every layer's attention probabilities [batch, H, T, T]. The caller disposes them. */
export function attentionPatterns(model: Model, ids: Int32Array, batch: number): tf.Tensor4D[] {
  const { config } = model;
  const family = familyOf(config);
  const shape = attentionShape(config, batch, ids.length / batch);
  return tf.tidy(() => {
    const patterns: tf.Tensor4D[] = [];
    const hooks = Object.fromEntries(
      Array.from({ length: family.sizes(config).nLayer }, (_, layer) => [
        blockHook(layer, "hook_resid_pre"),
        (value: tf.Tensor): undefined => {
          const block = family.block(lookUp(model), config, layer);
          patterns.push(attentionPattern(block.projections(value as tf.Tensor2D), shape));
          return undefined;
        },
      ]),
    );
    forwardHidden(model, ids, batch, { hooks });
    return patterns;
  });
}

function lookUp({ params }: Model): Param {
  return <T extends tf.Tensor>(name: string): T => {
    const tensor = params.get(name);
    if (!tensor) throw new Error(`internal: no parameter ${name}`);
    return tensor as T;
  };
}

function attentionShape(config: ModelConfig, batch: number, context: number): AttentionShape {
  const { nHead, headDim } = modelSizes(config);
  return { batch, context, heads: nHead, headDim, ...familyOf(config).attention(config) };
}
