/**
 * The GPT-2 family (Radford et al. 2019): x ← x + attn(ln₁ x); x ← x + mlp(ln₂ x), learned positions, tied embeddings.
 * Linear weights are stored [in, out] (transformers' Conv1D); `c_attn` is q | k | v along its columns.
 */
import {
  attentionBranch,
  type BranchWeights,
  embedding,
  gelu,
  layerNorm,
  linear,
  mlpBranch,
  type tf,
} from "../engine/index.ts";
import { type Block, denseMlp, densePoints, type Family, type Param } from "./family.ts";
import { type Gpt2Config, gpt2ConfigJson, newGpt2Config, parseGpt2Config } from "./gpt2-config.ts";

const blockName = (layer: number): string => `transformer.h.${layer}`;

/** Attention masks that old checkpoints store as tensors; they hold no parameter. */
const maskBuffer = /^transformer\.h\.\d+\.attn\.(bias|masked_bias)$/;

/** Every parameter's shape, in the order they are stored. */
export function gpt2Shapes(config: Gpt2Config): Map<string, readonly number[]> {
  const { vocab_size: v, n_positions: t, n_embd: d, n_inner: m, n_layer } = config;
  const shapes = new Map<string, readonly number[]>([
    ["transformer.wte.weight", [v, d]],
    ["transformer.wpe.weight", [t, d]],
  ]);
  for (let layer = 0; layer < n_layer; layer++) {
    const at = blockName(layer);
    shapes.set(`${at}.ln_1.weight`, [d]);
    shapes.set(`${at}.ln_1.bias`, [d]);
    shapes.set(`${at}.attn.c_attn.weight`, [d, 3 * d]);
    shapes.set(`${at}.attn.c_attn.bias`, [3 * d]);
    shapes.set(`${at}.attn.c_proj.weight`, [d, d]);
    shapes.set(`${at}.attn.c_proj.bias`, [d]);
    shapes.set(`${at}.ln_2.weight`, [d]);
    shapes.set(`${at}.ln_2.bias`, [d]);
    shapes.set(`${at}.mlp.c_fc.weight`, [d, m]);
    shapes.set(`${at}.mlp.c_fc.bias`, [m]);
    shapes.set(`${at}.mlp.c_proj.weight`, [m, d]);
    shapes.set(`${at}.mlp.c_proj.bias`, [d]);
  }
  shapes.set("transformer.ln_f.weight", [d]);
  shapes.set("transformer.ln_f.bias", [d]);
  return shapes;
}

function block(param: Param, config: Gpt2Config, layer: number): Block {
  const at = blockName(layer);
  const normed = (x: tf.Tensor2D, name: string) => norm(param, config, x, `${at}.${name}`);
  const affine = (x: tf.Tensor2D, name: string): tf.Tensor2D =>
    linear(x, param(`${at}.${name}.weight`), param(`${at}.${name}.bias`));
  const weights = (name: string) => ({
    weight: param<tf.Tensor2D>(`${at}.${name}.weight`),
    bias: param<tf.Tensor1D>(`${at}.${name}.bias`),
  });
  const branch = (ln: string, into: string, back: string): BranchWeights => ({
    norm: {
      gain: param(`${at}.${ln}.weight`),
      bias: param(`${at}.${ln}.bias`),
      eps: config.layer_norm_epsilon,
    },
    into: weights(into),
    back: weights(back),
  });
  return {
    projections: (x) => affine(normed(x, "ln_1"), "attn.c_attn"),
    attentionOut: (z) => affine(z, "attn.c_proj"),
    mlp: (x) =>
      denseMlp(
        normed(x, "ln_2"),
        (y) => gelu(affine(y, "mlp.c_fc")),
        (neurons) => affine(neurons, "mlp.c_proj"),
      ),
    branches: {
      attention: (x, shape) =>
        attentionBranch(x, branch("ln_1", "attn.c_attn", "attn.c_proj"), shape),
      mlp: (x) => mlpBranch(x, branch("ln_2", "mlp.c_fc", "mlp.c_proj")),
    },
  };
}

function norm(param: Param, config: Gpt2Config, x: tf.Tensor2D, name: string): tf.Tensor2D {
  return layerNorm(x, param(`${name}.weight`), param(`${name}.bias`), config.layer_norm_epsilon);
}

/** GPT-2. */
export const gpt2: Family<Gpt2Config> = {
  title: "GPT-2",
  modelTypes: ["gpt2"],
  parse: parseGpt2Config,
  sized: (_type, sizes, where) => newGpt2Config(sizes, where),
  json: gpt2ConfigJson,
  sizes: (config) => ({
    dModel: config.n_embd,
    nLayer: config.n_layer,
    nHead: config.n_head,
    nKvHead: config.n_head,
    headDim: config.n_embd / config.n_head,
    dMlp: config.n_inner,
    vocabSize: config.vocab_size,
    context: config.n_positions,
    tied: true,
    experts: null,
    normEps: config.layer_norm_epsilon,
  }),
  resized: (config, sizes) => ({
    ...config,
    vocab_size: sizes.vocabSize,
    n_embd: sizes.dModel,
    n_head: sizes.nHead,
    n_layer: sizes.nLayer,
    n_inner: sizes.dMlp,
    layer_norm_epsilon: sizes.normEps,
  }),
  shapes: gpt2Shapes,
  blockName,
  embedding: "transformer.wte.weight",
  unembedding: "lm_head.weight",
  finalGain: "transformer.ln_f.weight",
  canonicalName: (name) => (/^(transformer|lm_head)\./.test(name) ? name : `transformer.${name}`),
  isBuffer: (name) => maskBuffer.test(name),
  initial(name, shape) {
    if (/ln_\w+\.weight$/.test(name)) return "one";
    if (shape.length === 1) return "zero";
    return name.endsWith("c_proj.weight") ? "residual" : "normal";
  },
  isParallel: () => false,
  attention: () => ({}),
  positions: (param, _, positions) => embedding(param("transformer.wpe.weight"), positions),
  mlpPoints: () => densePoints,
  block,
  finalNorm: (param, config, x) => norm(param, config, x, "transformer.ln_f"),
};
