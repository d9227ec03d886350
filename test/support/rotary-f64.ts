/**
 * @file GPT-NeoX and the Llama family in plain loops and f64, the counterpart of gpt2-f64.ts: written from the
 * architectures (Black et al. 2022; Touvron et al. 2023; Qwen3's norms of heads), sharing only the configuration with
 * src/. Slow on purpose. Rotary scaling is linear or none.
 */
import type { LlamaConfig, NeoxConfig } from "../../src/models/index.ts";
import {
  affineF64,
  attentionF64,
  type F64Model,
  type F64Run,
  geluNew,
  layerNormF64,
} from "./gpt2-f64.ts";

/** Runs one sequence of a GPT-NeoX or Llama-like model; hooks of the stream, z and neurons, [T, width] each. */
export function runRotaryF64(model: F64Model, ids: ArrayLike<number>): F64Run {
  const config = model.config as NeoxConfig | LlamaConfig;
  const hooks = new Map<string, Float64Array>();
  const has = (name: string) => model.weights.has(name);
  const weight = (name: string): Float64Array => {
    const tensor = model.weights.get(name);
    if (tensor === undefined) throw new Error(`no parameter ${name}`);
    return Float64Array.from(tensor.data as ArrayLike<number>);
  };
  const linear = (x: Float64Array, name: string, nIn: number): Float64Array => {
    const w = weight(`${name}.weight`); // [nOut, nIn]
    const nOut = w.length / nIn;
    const turned = w.map((_, i) => w[(i % nOut) * nIn + Math.floor(i / nOut)]);
    const bias = has(`${name}.bias`) ? weight(`${name}.bias`) : new Float64Array(nOut);
    return affineF64(x, turned, bias, nIn);
  };
  const d = config.hidden_size;
  const context = { config, d, has, weight, linear, T: ids.length, hooks };
  const names =
    config.model_type === "gpt_neox"
      ? {
          table: "gpt_neox.embed_in.weight",
          head: "embed_out.weight",
          norm: "gpt_neox.final_layer_norm",
        }
      : { table: "model.embed_tokens.weight", head: "lm_head.weight", norm: "model.norm" };
  const table = weight(names.table);
  const rows = Array.from(ids, (id) => [...table.subarray(id * d, (id + 1) * d)]);
  let h: Float64Array = Float64Array.from(rows.flat());
  hooks.set("hook_embed", h);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    hooks.set(`blocks.${layer}.hook_resid_pre`, h);
    h =
      config.model_type === "gpt_neox"
        ? neoxBlock({ ...context, config }, h, layer)
        : llamaBlock({ ...context, config }, h, layer);
    hooks.set(`blocks.${layer}.hook_resid_post`, h);
  }
  const normalized =
    config.model_type === "gpt_neox"
      ? layerNormF64(
          h,
          weight(`${names.norm}.weight`),
          weight(`${names.norm}.bias`),
          config.layer_norm_eps,
        )
      : rmsNormF64(h, weight(`${names.norm}.weight`), config.rms_norm_eps);
  hooks.set("ln_final.hook_normalized", normalized);
  const unembedding = config.tie_word_embeddings ? table : weight(names.head);
  const V = config.vocab_size;
  const turned = unembedding.map((_, i) => unembedding[(i % V) * d + Math.floor(i / V)]);
  return { logits: affineF64(normalized, turned, new Float64Array(V), d), hooks };
}

interface Context<C> {
  readonly config: C;
  readonly d: number;
  readonly T: number;
  readonly has: (name: string) => boolean;
  readonly weight: (name: string) => Float64Array;
  readonly linear: (x: Float64Array, name: string, nIn: number) => Float64Array;
  readonly hooks: Map<string, Float64Array>;
}

function neoxBlock(at: Context<NeoxConfig>, x: Float64Array, layer: number): Float64Array {
  const { config, d, T, weight, linear, hooks } = at;
  const block = `gpt_neox.layers.${layer}`;
  const heads = config.num_attention_heads;
  const size = d / heads;
  const norm = (rows: Float64Array, name: string) =>
    layerNormF64(
      rows,
      weight(`${block}.${name}.weight`),
      weight(`${block}.${name}.bias`),
      config.layer_norm_eps,
    );
  const fused = linear(norm(x, "input_layernorm"), `${block}.attention.query_key_value`, d);
  const part = (which: number) =>
    Float64Array.from({ length: T * d }, (_, i) => {
      const [t, head, dim] = [Math.floor(i / d), Math.floor((i % d) / size), i % size];
      return fused[(t * heads + head) * 3 * size + which * size + dim];
    });
  const dims = Math.floor(size * config.rope.share);
  const turn = (rows: Float64Array) => rotate(rows, T, size, dims, config.rope);
  const { z } = attentionF64(turn(part(0)), turn(part(1)), part(2), T, heads);
  hooks.set(`blocks.${layer}.attn.hook_z`, z);
  const attention = linear(z, `${block}.attention.dense`, d);
  const middle = add(x, attention);
  const read = config.use_parallel_residual ? x : middle;
  const activation = config.hidden_act === "gelu" ? geluErf : geluNew;
  const post = linear(norm(read, "post_attention_layernorm"), `${block}.mlp.dense_h_to_4h`, d).map(
    activation,
  );
  hooks.set(`blocks.${layer}.mlp.hook_post`, post);
  return add(middle, linear(post, `${block}.mlp.dense_4h_to_h`, config.intermediate_size));
}

function llamaBlock(at: Context<LlamaConfig>, x: Float64Array, layer: number): Float64Array {
  const { config, d, T, has, weight, linear, hooks } = at;
  const { num_attention_heads: heads, num_key_value_heads: kv, head_dim: size } = config;
  const block = `model.layers.${layer}`;
  const norm = (rows: Float64Array, name: string) =>
    rmsNormF64(rows, weight(`${block}.${name}.weight`), config.rms_norm_eps);
  const y = norm(x, "input_layernorm");
  const headNorm = (rows: Float64Array, name: string) =>
    has(`${block}.self_attn.${name}.weight`) ? norm(rows, `self_attn.${name}`) : rows;
  const turn = (rows: Float64Array) => rotate(rows, T, size, size, config.rope);
  /** Each key head once for every query head it serves. */
  const spread = (rows: Float64Array) =>
    Float64Array.from({ length: T * heads * size }, (_, i) => {
      const [t, head] = [Math.floor(i / (heads * size)), Math.floor(i / size) % heads];
      return rows[(t * kv + Math.floor((head * kv) / heads)) * size + (i % size)];
    });
  const q = turn(headNorm(linear(y, `${block}.self_attn.q_proj`, d), "q_norm"));
  const k = spread(turn(headNorm(linear(y, `${block}.self_attn.k_proj`, d), "k_norm")));
  const v = spread(linear(y, `${block}.self_attn.v_proj`, d));
  const { z } = attentionF64(q, k, v, T, heads);
  hooks.set(`blocks.${layer}.attn.hook_z`, z);
  const middle = add(x, linear(z, `${block}.self_attn.o_proj`, heads * size));
  hooks.set(`blocks.${layer}.hook_resid_mid`, middle);
  const read = norm(middle, "post_attention_layernorm");
  const gate = linear(read, `${block}.mlp.gate_proj`, d);
  const up = linear(read, `${block}.mlp.up_proj`, d);
  const post = gate.map((g, i) => (g / (1 + Math.exp(-g))) * up[i]);
  hooks.set(`blocks.${layer}.mlp.hook_post`, post);
  return add(middle, linear(post, `${block}.mlp.down_proj`, config.intermediate_size));
}

/** Turns number i of the first `dims` of each head with number i + dims/2 by position · θ^(−2i/dims). */
function rotate(
  rows: Float64Array,
  T: number,
  size: number,
  dims: number,
  { theta, scaling }: LlamaConfig["rope"],
): Float64Array {
  if (scaling && scaling.rope_type !== "linear")
    throw new Error("only linear scaling is written here");
  const out = rows.slice();
  const width = rows.length / T;
  const half = dims / 2;
  for (let start = 0; start < rows.length; start += size) {
    const position = Math.floor(start / width) / (scaling?.factor ?? 1);
    for (let i = 0; i < half; i++) {
      const angle = position * theta ** (-(2 * i) / dims);
      const [a, b] = [rows[start + i], rows[start + i + half]];
      out[start + i] = a * Math.cos(angle) - b * Math.sin(angle);
      out[start + i + half] = b * Math.cos(angle) + a * Math.sin(angle);
    }
  }
  return out;
}

function rmsNormF64(x: Float64Array, gain: Float64Array, eps: number): Float64Array {
  const d = gain.length;
  const out = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += d) {
    let square = 0;
    for (let i = 0; i < d; i++) square += x[start + i] ** 2 / d;
    for (let i = 0; i < d; i++) out[start + i] = (x[start + i] / Math.sqrt(square + eps)) * gain[i];
  }
  return out;
}

/** x/2 · (1 + erf(x/√2)), erf by its series of positive terms. */
function geluErf(x: number): number {
  const u = Math.abs(x) / Math.SQRT2;
  let term = u;
  let total = u;
  for (let n = 1; n < 200; n++) {
    term *= (2 * u * u) / (2 * n + 1);
    total += term;
  }
  const erf = u > 6 ? 1 : (2 / Math.sqrt(Math.PI)) * Math.exp(-u * u) * total;
  return (x / 2) * (1 + Math.sign(x) * erf);
}

function add(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value + b[i]);
}
