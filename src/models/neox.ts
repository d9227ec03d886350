/**
 * The GPT-NeoX family (Black et al. 2022; Pythia): x ← x + attn(ln₁ x) + mlp(ln₂ x), or one after the other. Rotary
 * positions on a part of each head. Linear weights are stored [out, in]; `query_key_value` has its rows by head,
 * q, k and v of one head before those of the next.
 */
import { gelu, geluErf, layerNorm, linear, tf } from "../engine/index.ts";
import { type Block, denseMlp, densePoints, type Family, type Param } from "./family.ts";
import { type NeoxConfig, neoxConfigJson, newNeoxConfig, parseNeoxConfig } from "./neox-config.ts";
import { ropeRotary } from "./rope.ts";

const blockName = (layer: number): string => `gpt_neox.layers.${layer}`;

/** Attention masks and frequencies that old checkpoints store as tensors; they hold no parameter. */
const buffer =
  /^gpt_neox\.layers\.\d+\.attention\.(bias|masked_bias|rotary_emb\.(inv_freq|(cos|sin)_cached))$/;

/** Every parameter's shape, in the order they are stored. */
export function neoxShapes(config: NeoxConfig): Map<string, readonly number[]> {
  const { vocab_size: v, hidden_size: d, intermediate_size: m } = config;
  const shapes = new Map<string, readonly number[]>([["gpt_neox.embed_in.weight", [v, d]]]);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const at = blockName(layer);
    const affine = (name: string, nOut: number, nIn: number, isBiased = true): void => {
      shapes.set(`${at}.${name}.weight`, [nOut, nIn]);
      if (isBiased) shapes.set(`${at}.${name}.bias`, [nOut]);
    };
    for (const name of ["input_layernorm", "post_attention_layernorm"]) {
      shapes.set(`${at}.${name}.weight`, [d]);
      shapes.set(`${at}.${name}.bias`, [d]);
    }
    affine("attention.query_key_value", 3 * d, d, config.attention_bias);
    affine("attention.dense", d, d, config.attention_bias);
    affine("mlp.dense_h_to_4h", m, d);
    affine("mlp.dense_4h_to_h", d, m);
  }
  shapes.set("gpt_neox.final_layer_norm.weight", [d]);
  shapes.set("gpt_neox.final_layer_norm.bias", [d]);
  if (!config.tie_word_embeddings) shapes.set("embed_out.weight", [v, d]);
  return shapes;
}

function block(param: Param, config: NeoxConfig, layer: number): Block {
  const at = blockName(layer);
  const heads = config.num_attention_heads;
  const normed = (x: tf.Tensor2D, name: string) => norm(param, config, x, `${at}.${name}`);
  const affine = (x: tf.Tensor2D, name: string, isBiased = true): tf.Tensor2D =>
    linear(x, param(`${at}.${name}.weight`), isBiased ? param(`${at}.${name}.bias`) : undefined, {
      transposed: true,
    });
  // rows by head, then by q, k, v → rows by q, k, v, then by head
  const apart = <T extends tf.Tensor>(rows: T): T =>
    tf.reshape(
      tf.transpose(tf.reshape(rows, [heads, 3, rows.size / (3 * heads)]), [1, 0, 2]),
      rows.shape,
    ) as T;
  const activation = config.hidden_act === "gelu" ? geluErf : gelu;
  return {
    projections(x) {
      const name = `${at}.attention.query_key_value`;
      const bias = config.attention_bias ? apart(param<tf.Tensor1D>(`${name}.bias`)) : undefined;
      const weight = apart(param<tf.Tensor2D>(`${name}.weight`)); // [3·d, d]
      return linear(normed(x, "input_layernorm"), weight, bias, { transposed: true });
    },
    attentionOut: (z) => affine(z, "attention.dense", config.attention_bias),
    mlp: (x) =>
      denseMlp(
        normed(x, "post_attention_layernorm"),
        (y) => activation(affine(y, "mlp.dense_h_to_4h")),
        (neurons) => affine(neurons, "mlp.dense_4h_to_h"),
      ),
  };
}

function norm(param: Param, config: NeoxConfig, x: tf.Tensor2D, name: string): tf.Tensor2D {
  return layerNorm(x, param(`${name}.weight`), param(`${name}.bias`), config.layer_norm_eps);
}

/** GPT-NeoX and Pythia. */
export const neox: Family<NeoxConfig> = {
  title: "GPT-NeoX",
  modelTypes: ["gpt_neox"],
  parse: parseNeoxConfig,
  sized: (_type, sizes, where) => newNeoxConfig(sizes, where),
  json: neoxConfigJson,
  sizes: (config) => ({
    dModel: config.hidden_size,
    nLayer: config.num_hidden_layers,
    nHead: config.num_attention_heads,
    nKvHead: config.num_attention_heads,
    headDim: config.hidden_size / config.num_attention_heads,
    dMlp: config.intermediate_size,
    vocabSize: config.vocab_size,
    context: config.max_position_embeddings,
    tied: config.tie_word_embeddings,
    experts: null,
    normEps: config.layer_norm_eps,
  }),
  resized: (config, sizes) => ({
    ...config,
    vocab_size: sizes.vocabSize,
    hidden_size: sizes.dModel,
    num_attention_heads: sizes.nHead,
    num_hidden_layers: sizes.nLayer,
    intermediate_size: sizes.dMlp,
    layer_norm_eps: sizes.normEps,
    rope: sizes.rope ?? config.rope,
  }),
  shapes: neoxShapes,
  blockName,
  embedding: "gpt_neox.embed_in.weight",
  unembedding: "embed_out.weight",
  finalGain: "gpt_neox.final_layer_norm.weight",
  canonicalName(name) {
    if (name === "lm_head.weight") return "embed_out.weight"; // transformers 5's name
    return /^(gpt_neox|embed_out)\./.test(name) ? name : `gpt_neox.${name}`;
  },
  isBuffer: (name) => buffer.test(name),
  initial(name, shape) {
    if (/norm\.weight$/.test(name)) return "one";
    if (shape.length === 1) return "zero";
    return /\.(dense|dense_4h_to_h)\.weight$/.test(name) ? "residual" : "normal";
  },
  isParallel: (config) => config.use_parallel_residual,
  attention: (config) => ({
    rotary: ropeRotary(config.rope, config.hidden_size / config.num_attention_heads),
  }),
  positions: () => null,
  mlpPoints: () => densePoints,
  block,
  finalNorm: (param, config, x) => norm(param, config, x, "gpt_neox.final_layer_norm"),
};
