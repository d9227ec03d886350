/**
 * The Llama family (Touvron et al. 2023; Mistral, Qwen2, Qwen3): x ← x + attn(norm₁ x); x ← x + mlp(norm₂ x) with
 * RMSNorm, SwiGLU, rotary positions and grouped queries. Linear weights are stored [out, in]. The MLP's neurons
 * are silu(gate)·up.
 */
import { linear, rmsNorm, swiglu, tf } from "../engine/index.ts";
import type { Block, Family, Param } from "./family.ts";
import {
  type LlamaConfig,
  type LlamaType,
  llamaConfigJson,
  llamaTypes,
  newLlamaConfig,
  parseLlamaConfig,
} from "./llama-config.ts";
import { ropeRotary } from "./rope.ts";

const blockName = (layer: number): string => `model.layers.${layer}`;

/** Frequencies that old checkpoints store as tensors; they hold no parameter. */
const buffer = /^model\.(layers\.\d+\.self_attn\.)?rotary_emb\.(inv_freq|(cos|sin)_cached)$/;

/** Which projections have biases, and whether each head's q and k have a norm. */
function parts({ model_type, attention_bias }: LlamaConfig): {
  readonly hasQkvBias: boolean;
  readonly hasHeadNorms: boolean;
} {
  return {
    hasQkvBias: attention_bias || model_type === "qwen2",
    hasHeadNorms: model_type === "qwen3",
  };
}

/** Every parameter's shape, in the order they are stored. */
export function llamaShapes(config: LlamaConfig): Map<string, readonly number[]> {
  const { vocab_size: v, hidden_size: d, intermediate_size: m, head_dim } = config;
  const wide = config.num_attention_heads * head_dim;
  const narrow = config.num_key_value_heads * head_dim;
  const { hasQkvBias, hasHeadNorms } = parts(config);
  const shapes = new Map<string, readonly number[]>([["model.embed_tokens.weight", [v, d]]]);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const at = blockName(layer);
    const affine = (name: string, nOut: number, nIn: number, isBiased: boolean): void => {
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
    affine("self_attn.o_proj", d, wide, config.attention_bias);
    shapes.set(`${at}.post_attention_layernorm.weight`, [d]);
    affine("mlp.gate_proj", m, d, config.mlp_bias);
    affine("mlp.up_proj", m, d, config.mlp_bias);
    affine("mlp.down_proj", d, m, config.mlp_bias);
  }
  shapes.set("model.norm.weight", [d]);
  if (!config.tie_word_embeddings) shapes.set("lm_head.weight", [v, d]);
  return shapes;
}

function block(param: Param, config: LlamaConfig, layer: number): Block {
  const at = blockName(layer);
  const { head_dim, rms_norm_eps: eps, mlp_bias, attention_bias } = config;
  const { hasQkvBias, hasHeadNorms } = parts(config);
  const normed = (x: tf.Tensor2D, name: string): tf.Tensor2D =>
    rmsNorm(x, param(`${at}.${name}.weight`), eps);
  const affine = (x: tf.Tensor2D, name: string, isBiased: boolean): tf.Tensor2D =>
    linear(x, param(`${at}.${name}.weight`), isBiased ? param(`${at}.${name}.bias`) : undefined, {
      transposed: true,
    });
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
    attentionOut: (z) => affine(z, "self_attn.o_proj", attention_bias),
    neurons(x) {
      const y = normed(x, "post_attention_layernorm");
      return swiglu(affine(y, "mlp.gate_proj", mlp_bias), affine(y, "mlp.up_proj", mlp_bias));
    },
    mlpOut: (neurons) => affine(neurons, "mlp.down_proj", mlp_bias),
  };
}

/** Llama, Mistral, Qwen2 and Qwen3. */
export const llama: Family<LlamaConfig> = {
  title: "Llama",
  modelTypes: llamaTypes,
  parse: parseLlamaConfig,
  sized: (type, sizes, where) => newLlamaConfig(type as LlamaType, sizes, where),
  json: llamaConfigJson,
  sizes: (config) => ({
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
  }),
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
  shapes: llamaShapes,
  blockName,
  embedding: "model.embed_tokens.weight",
  unembedding: "lm_head.weight",
  finalGain: "model.norm.weight",
  canonicalName: (name) => (/^(model|lm_head)\./.test(name) ? name : `model.${name}`),
  isBuffer: (name) => buffer.test(name),
  initial(name, shape) {
    if (/norm\.weight$/.test(name)) return "one";
    if (shape.length === 1) return "zero";
    return /\.(o_proj|down_proj)\.weight$/.test(name) ? "residual" : "normal";
  },
  isParallel: () => false,
  attention: (config) => ({
    kvHeads: config.num_key_value_heads,
    rotary: ropeRotary(config.rope, config.head_dim),
  }),
  positions: () => null,
  block,
  finalNorm: (param, config, x) => rmsNorm(x, param("model.norm.weight"), config.rms_norm_eps),
};
