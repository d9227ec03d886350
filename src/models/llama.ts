/**
 * The Llama family (Touvron et al. 2023; Mistral, Qwen2, Qwen3): x ← x + attn(norm₁ x); x ← x + mlp(norm₂ x) with
 * RMSNorm, SwiGLU, rotary positions and grouped queries. Linear weights are stored [out, in]. The MLP's neurons
 * are silu(gate)·up.
 */
import { linear, rmsNorm, swiglu, tf } from "../engine/index.ts";
import type { ModelSizes } from "./config.ts";
import { type Block, denseMlp, densePoints, type Family, type Param } from "./family.ts";
import {
  type LlamaConfig,
  type LlamaSharedConfig,
  type LlamaType,
  llamaConfigJson,
  llamaTypes,
  newLlamaConfig,
  parseLlamaConfig,
} from "./llama-config.ts";
import type { MixtralConfig } from "./mixtral-config.ts";
import { ropeRotary } from "./rope.ts";

const blockName = (layer: number): string => `model.layers.${layer}`;

/** Frequencies that old checkpoints store as tensors; they hold no parameter. */
const buffer = /^model\.(layers\.\d+\.self_attn\.)?rotary_emb\.(inv_freq|(cos|sin)_cached)$/;

function parts({ model_type, attention_bias }: LlamaConfig): AttentionParts {
  return {
    hasQkvBias: attention_bias || model_type === "qwen2",
    hasHeadNorms: model_type === "qwen3",
    hasOutputBias: attention_bias,
  };
}

/** Every parameter's shape, in the order they are stored. */
export function llamaShapes(config: LlamaConfig): Map<string, readonly number[]> {
  const { hidden_size: d, intermediate_size: m } = config;
  return sharedShapes(config, parts(config), (affine) => {
    affine("mlp.gate_proj", m, d, config.mlp_bias);
    affine("mlp.up_proj", m, d, config.mlp_bias);
    affine("mlp.down_proj", d, m, config.mlp_bias);
  });
}

/** Adds a matrix of a block, and a bias where it has one. */
type AddAffine = (name: string, nOut: number, nIn: number, isBiased: boolean) => void;

/** What a Llama's blocks may have beside their weights. */
interface AttentionParts {
  readonly hasQkvBias: boolean;
  readonly hasHeadNorms: boolean;
  readonly hasOutputBias: boolean;
}

/** The shapes of a model with Llama's attention and norms; `addMlp` adds what each block has for an MLP. */
export function sharedShapes(
  config: LlamaSharedConfig,
  { hasQkvBias, hasHeadNorms, hasOutputBias }: AttentionParts,
  addMlp: (affine: AddAffine) => void,
): Map<string, readonly number[]> {
  const { vocab_size: v, hidden_size: d, head_dim } = config;
  const wide = config.num_attention_heads * head_dim;
  const narrow = config.num_key_value_heads * head_dim;
  const shapes = new Map<string, readonly number[]>([["model.embed_tokens.weight", [v, d]]]);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const at = blockName(layer);
    const affine: AddAffine = (name, nOut, nIn, isBiased) => {
      shapes.set(`${at}.${name}.weight`, [nOut, nIn]);
      if (isBiased) shapes.set(`${at}.${name}.bias`, [nOut]);
    };
    shapes.set(`${at}.input_layernorm.weight`, [d]);
    affine("self_attn.q_proj", wide, d, hasQkvBias);
    affine("self_attn.k_proj", narrow, d, hasQkvBias);
    affine("self_attn.v_proj", narrow, d, hasQkvBias);
    if (hasHeadNorms) {
      shapes.set(`${at}.self_attn.q_norm.weight`, [head_dim]);
      shapes.set(`${at}.self_attn.k_norm.weight`, [head_dim]);
    }
    affine("self_attn.o_proj", d, wide, hasOutputBias);
    shapes.set(`${at}.post_attention_layernorm.weight`, [d]);
    addMlp(affine);
  }
  shapes.set("model.norm.weight", [d]);
  if (!config.tie_word_embeddings) shapes.set("lm_head.weight", [v, d]);
  return shapes;
}

/** A block's products and norms by the names of its weights. */
export interface BlockWeights {
  normed(x: tf.Tensor2D, name: string): tf.Tensor2D;
  affine(x: tf.Tensor2D, name: string, isBiased?: boolean): tf.Tensor2D;
}

/** Products and norms with the weights of layer `layer`. */
export function blockWeights(
  param: Param,
  { rms_norm_eps: eps }: LlamaSharedConfig,
  layer: number,
): BlockWeights {
  const at = blockName(layer);
  return {
    normed: (x, name) => rmsNorm(x, param(`${at}.${name}.weight`), eps),
    affine: (x, name, isBiased = false) =>
      linear(x, param(`${at}.${name}.weight`), isBiased ? param(`${at}.${name}.bias`) : undefined, {
        transposed: true,
      }),
  };
}

/** Attention of a block, from the stream and back into it. */
export function llamaAttention(
  { normed, affine }: BlockWeights,
  { head_dim }: LlamaSharedConfig,
  { hasQkvBias, hasHeadNorms, hasOutputBias }: AttentionParts,
): Pick<Block, "projections" | "attentionOut"> {
  const headNormed = (x: tf.Tensor2D, name: string): tf.Tensor2D =>
    hasHeadNorms
      ? tf.reshape(normed(tf.reshape(x, [-1, head_dim]), `self_attn.${name}`), x.shape)
      : x;
  return {
    projections(x) {
      const y = normed(x, "input_layernorm");
      return [
        headNormed(affine(y, "self_attn.q_proj", hasQkvBias), "q_norm"),
        headNormed(affine(y, "self_attn.k_proj", hasQkvBias), "k_norm"),
        affine(y, "self_attn.v_proj", hasQkvBias),
      ];
    },
    attentionOut: (z) => affine(z, "self_attn.o_proj", hasOutputBias),
  };
}

function block(param: Param, config: LlamaConfig, layer: number): Block {
  const weights = blockWeights(param, config, layer);
  const affine = (x: tf.Tensor2D, name: string) => weights.affine(x, name, config.mlp_bias);
  return {
    ...llamaAttention(weights, config, parts(config)),
    mlp(x) {
      return denseMlp(
        weights.normed(x, "post_attention_layernorm"),
        (y) => swiglu(affine(y, "mlp.gate_proj"), affine(y, "mlp.up_proj")),
        (neurons) => affine(neurons, "mlp.down_proj"),
      );
    },
  };
}

/** The sizes of a model with Llama's configuration fields. */
export function sharedSizes(config: LlamaSharedConfig): Omit<ModelSizes, "experts"> {
  return {
    dModel: config.hidden_size,
    nLayer: config.num_hidden_layers,
    nHead: config.num_attention_heads,
    nKvHead: config.num_key_value_heads,
    headDim: config.head_dim,
    dMlp: config.intermediate_size,
    vocabSize: config.vocab_size,
    context: config.max_position_embeddings,
    tied: config.tie_word_embeddings,
    normEps: config.rms_norm_eps,
  };
}

/** What the families with Llama's norms and attention have in common. */
export function llamaShared<C extends LlamaConfig | MixtralConfig>(): Pick<
  Family<C>,
  | "resized"
  | "blockName"
  | "embedding"
  | "unembedding"
  | "finalGain"
  | "canonicalName"
  | "isBuffer"
  | "isParallel"
  | "attention"
  | "positions"
  | "finalNorm"
> {
  return {
    resized: (config, sizes) => ({
      ...config,
      vocab_size: sizes.vocabSize,
      hidden_size: sizes.dModel,
      num_attention_heads: sizes.nHead,
      num_key_value_heads: sizes.nKvHead,
      head_dim: sizes.headDim,
      num_hidden_layers: sizes.nLayer,
      intermediate_size: sizes.dMlp,
      rms_norm_eps: sizes.normEps,
      rope: sizes.rope ?? config.rope,
    }),
    blockName,
    embedding: "model.embed_tokens.weight",
    unembedding: "lm_head.weight",
    finalGain: "model.norm.weight",
    canonicalName: (name) => (/^(model|lm_head)\./.test(name) ? name : `model.${name}`),
    isBuffer: (name) => buffer.test(name),
    isParallel: () => false,
    attention: (config) => ({
      kvHeads: config.num_key_value_heads,
      rotary: ropeRotary(config.rope, config.head_dim),
    }),
    positions: () => null,
    finalNorm: (param, config, x) => rmsNorm(x, param("model.norm.weight"), config.rms_norm_eps),
  };
}

/** Llama, Mistral, Qwen2 and Qwen3. */
export const llama: Family<LlamaConfig> = {
  ...llamaShared<LlamaConfig>(),
  title: "Llama",
  modelTypes: llamaTypes,
  parse: parseLlamaConfig,
  sized: (type, sizes, where) => newLlamaConfig(type as LlamaType, sizes, where),
  json: llamaConfigJson,
  sizes: (config) => ({ ...sharedSizes(config), experts: null }),
  shapes: llamaShapes,
  initial(name, shape) {
    if (/norm\.weight$/.test(name)) return "one";
    if (shape.length === 1) return "zero";
    return /\.(o_proj|down_proj)\.weight$/.test(name) ? "residual" : "normal";
  },
  mlpPoints: () => densePoints,
  block,
};
