/**
 * GPT-2's forward pass (Radford et al. 2019): x ← x + attn(ln₁ x); x ← x + mlp(ln₂ x); logits =
 * ln_f(x)·Wᵀ with tied embeddings. Written once over the engine's operations, differentiable, with
 * hooks at TransformerLens's points; it runs only as deep as it is asked to.
 */
import {
  attentionComposite,
  attentionPattern,
  causalAttention,
  embedding,
  gelu,
  layerNorm,
  linear,
  tf,
} from "../engine/index.ts";
import { blockName, type Model } from "./gpt2-weights.ts";
import { blockHook, type Hooks, hookNames } from "./hooks.ts";

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
  const context = ids.length / batch;
  if (!Number.isInteger(context) || context < 1 || context > config.n_positions) {
    throw new Error(
      `internal: ${ids.length} ids in ${batch} sequences; the model takes 1 to ${config.n_positions} tokens a sequence`,
    );
  }
  for (const name of [...Object.keys(hooks), ...(stopAt === undefined ? [] : [stopAt])]) {
    if (!hookNames(config).includes(name)) throw new Error(`internal: no hook ${name}`);
  }
  if (stopAt?.endsWith("hook_pattern")) throw new Error(`internal: can't stop at ${stopAt}`);
  const param = <T extends tf.Tensor>(name: string): T => {
    const tensor = model.params.get(name);
    if (!tensor) throw new Error(`internal: no parameter ${name}`);
    return tensor as T;
  };
  const at = (name: string, value: tf.Tensor2D): tf.Tensor2D =>
    (hooks[name]?.(value, name) as tf.Tensor2D | undefined) ?? value;
  const norm = (x: tf.Tensor2D, name: string): tf.Tensor2D =>
    layerNorm(x, param(`${name}.weight`), param(`${name}.bias`), config.layer_norm_epsilon);
  const affine = (x: tf.Tensor2D, name: string): tf.Tensor2D =>
    linear(x, param(`${name}.weight`), param(`${name}.bias`));

  const positions = new Int32Array(ids.length);
  for (let i = 0; i < positions.length; i++) positions[i] = i % context;
  let x = at("hook_embed", embedding(param("transformer.wte.weight"), ids));
  if (stopAt === "hook_embed") return x;
  x = tf.add(x, embedding(param("transformer.wpe.weight"), positions)) as tf.Tensor2D;

  const shape = {
    batch,
    context,
    heads: config.n_head,
    headDim: config.n_embd / config.n_head,
  };
  for (let layer = 0; layer < config.n_layer; layer++) {
    const block = blockName(layer);
    const names = {
      pre: blockHook(layer, "hook_resid_pre"),
      pattern: blockHook(layer, "attn.hook_pattern"),
      z: blockHook(layer, "attn.hook_z"),
      attnOut: blockHook(layer, "hook_attn_out"),
      mid: blockHook(layer, "hook_resid_mid"),
      post: blockHook(layer, "mlp.hook_post"),
      mlpOut: blockHook(layer, "hook_mlp_out"),
      out: blockHook(layer, "hook_resid_post"),
    };
    x = at(names.pre, x);
    if (stopAt === names.pre) return x;

    const qkv = affine(norm(x, `${block}.ln_1`), `${block}.attn.c_attn`);
    const patternHook = hooks[names.pattern];
    const z = patternHook
      ? attentionComposite(
          qkv,
          shape,
          (pattern) => (patternHook(pattern, names.pattern) as tf.Tensor4D | undefined) ?? pattern,
        )
      : causalAttention(qkv, shape);
    const heads = at(names.z, z);
    if (stopAt === names.z) return heads;
    const attnOut = at(names.attnOut, affine(heads, `${block}.attn.c_proj`));
    if (stopAt === names.attnOut) return attnOut;
    x = at(names.mid, tf.add(x, attnOut) as tf.Tensor2D);
    if (stopAt === names.mid) return x;

    const neurons = at(names.post, gelu(affine(norm(x, `${block}.ln_2`), `${block}.mlp.c_fc`)));
    if (stopAt === names.post) return neurons;
    const mlpOut = at(names.mlpOut, affine(neurons, `${block}.mlp.c_proj`));
    if (stopAt === names.mlpOut) return mlpOut;
    x = at(names.out, tf.add(x, mlpOut) as tf.Tensor2D);
    if (stopAt === names.out) return x;
  }
  return at("ln_final.hook_normalized", norm(x, "transformer.ln_f"));
}

/** The unembedding [V, d] (tied to the embedding). */
export function unembedding(model: Model): tf.Tensor2D {
  const table = model.params.get("transformer.wte.weight");
  if (!table) throw new Error("internal: no parameter transformer.wte.weight");
  return table as tf.Tensor2D;
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
  return tf.reshape(logits, [batch, ids.length / batch, model.config.vocab_size]);
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

/** Every layer's attention probabilities [batch, H, T, T]. The caller disposes them. */
export function attentionPatterns(model: Model, ids: Int32Array, batch: number): tf.Tensor4D[] {
  const { config } = model;
  const context = ids.length / batch;
  const shape = { batch, context, heads: config.n_head, headDim: config.n_embd / config.n_head };
  return tf.tidy(() => {
    const patterns: tf.Tensor4D[] = [];
    const hooks = Object.fromEntries(
      Array.from({ length: config.n_layer }, (_, layer) => [
        blockHook(layer, "hook_resid_pre"),
        (value: tf.Tensor): undefined => {
          const block = blockName(layer);
          const get = (name: string): tf.Tensor =>
            model.params.get(`${block}.${name}`) as tf.Tensor;
          const normed = layerNorm(
            value as tf.Tensor2D,
            get("ln_1.weight") as tf.Tensor1D,
            get("ln_1.bias") as tf.Tensor1D,
            config.layer_norm_epsilon,
          );
          const qkv = linear(
            normed,
            get("attn.c_attn.weight") as tf.Tensor2D,
            get("attn.c_attn.bias") as tf.Tensor1D,
          );
          patterns.push(attentionPattern(qkv, shape));
          return undefined;
        },
      ]),
    );
    forwardHidden(model, ids, batch, { hooks });
    return patterns;
  });
}
