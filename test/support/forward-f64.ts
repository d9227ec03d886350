/**
 * @file Every family's forward pass in plain loops and f64, from the architectures' papers and the layouts of their
 * checkpoints, sharing no computation with src/: the reference of exact growth. GPT-2's is gpt2-f64.ts. Angles of
 * rotary positions are in f64 too, unlike in transformers and in src/.
 */
import type { HostModel, Rope } from "../../src/models/index.ts";
import { type F64Run, geluNew, layerNormF64, runF64 } from "./gpt2-f64.ts";

/** Runs one sequence: logits [T, V]; the embedding, the stream, z, the final norm and dense models' neurons, [T, width]. */
export function forwardF64(model: HostModel, ids: ArrayLike<number>): F64Run {
  const { config, weights } = model;
  if (config.model_type === "gpt2") return runF64(model, ids);
  const isNeox = config.model_type === "gpt_neox";
  const { hidden_size: d, num_attention_heads: nHead } = config;
  const nKvHead = isNeox ? nHead : config.num_key_value_heads;
  const headDim = isNeox ? d / nHead : config.head_dim;
  const hooks = new Map<string, Float64Array>();
  const eps = isNeox ? config.layer_norm_eps : config.rms_norm_eps;
  const T = ids.length;
  const get = (name: string): Float64Array | null => {
    const tensor = weights.get(name);
    return tensor === undefined ? null : Float64Array.from(tensor.data as Float32Array);
  };
  const need = (name: string): Float64Array => {
    const found = get(name);
    if (found === null) throw new Error(`no parameter ${name}`);
    return found;
  };
  const dense = (x: Float64Array, name: string): Float64Array =>
    rowsTimes(x, need(`${name}.weight`), get(`${name}.bias`), T);
  const norm = (x: Float64Array, name: string): Float64Array =>
    isNeox
      ? layerNormF64(x, need(`${name}.weight`), need(`${name}.bias`), eps)
      : rmsNormF64(x, need(`${name}.weight`), eps);

  function qkv(x: Float64Array, at: string): [Float64Array, Float64Array, Float64Array] {
    if (!isNeox) {
      const [q, k, v] = ["q", "k", "v"].map((name) => dense(x, `${at}.self_attn.${name}_proj`));
      const gains = ["q", "k"].map((name) => get(`${at}.self_attn.${name}_norm.weight`));
      const normed = (rows: Float64Array, gain: Float64Array | null) =>
        gain === null ? rows : rmsNormF64(rows, gain, eps);
      return [normed(q, gains[0]), normed(k, gains[1]), v];
    }
    const fused = dense(x, `${at}.attention.query_key_value`); // [T, head, 3, headDim]
    const part = (which: number) =>
      Float64Array.from({ length: T * d }, (_, i) => {
        const [t, head, j] = [Math.floor(i / d), Math.floor((i % d) / headDim), i % headDim];
        return fused[t * 3 * d + (head * 3 + which) * headDim + j];
      });
    return [part(0), part(1), part(2)];
  }

  const attentionOut = isNeox ? "attention.dense" : "self_attn.o_proj";
  function gated(x: Float64Array, gate: string, up: string): Float64Array {
    const upward = dense(x, up);
    return dense(x, gate).map((g, i) => (g / (1 + Math.exp(-g))) * upward[i]);
  }

  /** The largest of the router's probabilities over their sum, times what those experts put out. */
  function experts(x: Float64Array, at: string, perToken: number): Float64Array {
    const router = dense(x, `${at}.gate`); // [T, N]
    const count = router.length / T;
    const outputs = Array.from({ length: count }, (_, e) => {
      return dense(
        gated(x, `${at}.experts.${e}.w1`, `${at}.experts.${e}.w3`),
        `${at}.experts.${e}.w2`,
      );
    });
    return Float64Array.from(x, (_, i) => {
      const logits = router.subarray(Math.floor(i / d) * count, (Math.floor(i / d) + 1) * count);
      const chosen = [...logits.keys()].sort((a, b) => logits[b] - logits[a]).slice(0, perToken);
      const weights = chosen.map((e) => Math.exp(logits[e] - logits[chosen[0]]));
      const total = weights.reduce((a, b) => a + b);
      return chosen.reduce((sum, e, k) => sum + (weights[k] / total) * outputs[e][i], 0);
    });
  }
  function mlp(x: Float64Array, at: string, hook: string): Float64Array {
    if (config.model_type === "mixtral") {
      return experts(x, `${at}.block_sparse_moe`, config.num_experts_per_tok);
    }
    const activation = isNeox && config.hidden_act === "gelu" ? geluErf : geluNew;
    const neurons = isNeox
      ? dense(x, `${at}.mlp.dense_h_to_4h`).map(activation)
      : gated(x, `${at}.mlp.gate_proj`, `${at}.mlp.up_proj`);
    hooks.set(hook, neurons);
    return dense(neurons, `${at}.mlp.${isNeox ? "dense_4h_to_h" : "down_proj"}`);
  }

  const prefix = isNeox ? "gpt_neox" : "model";
  const table = need(isNeox ? "gpt_neox.embed_in.weight" : "model.embed_tokens.weight");
  let h: Float64Array = Float64Array.from(
    { length: T * d },
    (_, i) => table[ids[Math.floor(i / d)] * d + (i % d)],
  );
  hooks.set("hook_embed", h);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const at = `${prefix}.layers.${layer}`;
    hooks.set(`blocks.${layer}.hook_resid_pre`, h);
    const [q, k, v] = qkv(norm(h, `${at}.input_layernorm`), at);
    for (const rows of [q, k]) turn(rows, T, headDim, config.rope);
    const z = attention(q, k, v, T, nHead, nKvHead);
    hooks.set(`blocks.${layer}.attn.hook_z`, z);
    const entering = h;
    h = plus(h, dense(z, `${at}.${attentionOut}`));
    const isParallel = isNeox && config.use_parallel_residual;
    if (!isParallel) hooks.set(`blocks.${layer}.hook_resid_mid`, h);
    const read = norm(isParallel ? entering : h, `${at}.post_attention_layernorm`);
    hooks.set(`blocks.${layer}.mlp.hook_in`, read);
    h = plus(h, mlp(read, at, `blocks.${layer}.mlp.hook_post`));
    hooks.set(`blocks.${layer}.hook_resid_post`, h);
  }
  const final = norm(h, isNeox ? "gpt_neox.final_layer_norm" : "model.norm");
  hooks.set("ln_final.hook_normalized", final);
  const unembedding = get(isNeox ? "embed_out.weight" : "lm_head.weight") ?? table;
  return { logits: rowsTimes(final, unembedding, null, T), hooks };
}

/** x [T, nIn] times the transpose of w [nOut, nIn], plus b. */
function rowsTimes(
  x: Float64Array,
  w: Float64Array,
  b: Float64Array | null,
  T: number,
): Float64Array {
  const nIn = x.length / T;
  const nOut = w.length / nIn;
  const out = new Float64Array(T * nOut);
  for (let t = 0; t < T; t++) {
    for (let j = 0; j < nOut; j++) {
      let total = b === null ? 0 : b[j];
      for (let i = 0; i < nIn; i++) total += x[t * nIn + i] * w[j * nIn + i];
      out[t * nOut + j] = total;
    }
  }
  return out;
}

function rmsNormF64(x: Float64Array, gain: Float64Array, eps: number): Float64Array {
  const d = gain.length;
  const out = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += d) {
    let square = 0;
    for (let i = start; i < start + d; i++) square += x[i] ** 2 / d;
    for (let i = 0; i < d; i++) out[start + i] = (x[start + i] / Math.sqrt(square + eps)) * gain[i];
  }
  return out;
}

/** Turns each head's pairs (i, i + half) of its first numbers by position · frequency, in place. */
function turn(rows: Float64Array, T: number, headDim: number, rope: Rope): void {
  const dims = Math.floor(headDim * rope.share);
  const half = dims / 2;
  const width = rows.length / T;
  for (let i = 0; i < half; i++) {
    const frequency = stretched(rope.theta ** ((-2 * i) / dims), rope);
    for (let t = 0; t < T; t++) {
      const [cos, sin] = [Math.cos(t * frequency), Math.sin(t * frequency)];
      for (let at = t * width + i; at < (t + 1) * width; at += headDim) {
        const [a, b] = [rows[at], rows[at + half]];
        rows[at] = a * cos - b * sin;
        rows[at + half] = b * cos + a * sin;
      }
    }
  }
}

/** Linear scaling (Chen et al. 2023), or that of Llama 3.1 as its authors' code has it. */
function stretched(frequency: number, { scaling }: Rope): number {
  if (scaling === null) return frequency;
  if (scaling.rope_type === "linear") return frequency / scaling.factor;
  const { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } = scaling;
  const wavelength = (2 * Math.PI) / frequency;
  const ratio = original_max_position_embeddings / wavelength;
  if (ratio < low_freq_factor) return frequency / factor;
  if (ratio > high_freq_factor) return frequency;
  const smooth = (ratio - low_freq_factor) / (high_freq_factor - low_freq_factor);
  return (1 - smooth) * (frequency / factor) + smooth * frequency;
}

/** Causal attention of q [T, nHead·n] over k and v [T, nKvHead·n]; query head i reads key head ⌊i·nKvHead/nHead⌋. */
function attention(
  q: Float64Array,
  k: Float64Array,
  v: Float64Array,
  T: number,
  nHead: number,
  nKvHead: number,
): Float64Array {
  const n = q.length / T / nHead;
  const z = new Float64Array(q.length);
  for (let head = 0; head < nHead; head++) {
    const key = Math.floor((head * nKvHead) / nHead);
    for (let t = 0; t < T; t++) {
      const from = (t * nHead + head) * n;
      const scores = Array.from({ length: t + 1 }, (_, s) => {
        let dot = 0;
        for (let i = 0; i < n; i++) dot += q[from + i] * k[(s * nKvHead + key) * n + i];
        return dot / Math.sqrt(n);
      });
      const top = Math.max(...scores);
      const shares = scores.map((score) => Math.exp(score - top));
      const total = shares.reduce((a, b) => a + b);
      shares.forEach((share, s) => {
        for (let i = 0; i < n; i++) {
          z[from + i] += (share / total) * v[(s * nKvHead + key) * n + i];
        }
      });
    }
  }
  return z;
}

/** The exact GELU, x·Φ(x), with Φ by its series (absolute error below 1e-15 for the |x| ≤ 6 of small models). */
function geluErf(x: number): number {
  const u = Math.min(Math.abs(x), 9) / Math.SQRT2;
  let term = u;
  let sum = u;
  for (let n = 1; n < 200; n++) {
    term *= (2 * u * u) / (2 * n + 1);
    sum += term;
    if (term < sum * 1e-17) break;
  }
  const erf = (2 / Math.sqrt(Math.PI)) * Math.exp(-u * u) * sum;
  return (x / 2) * (1 + Math.sign(x) * erf);
}

function plus(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value + b[i]);
}
