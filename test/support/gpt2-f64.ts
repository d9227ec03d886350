/**
 * @file An independent GPT-2 in plain loops and f64: the reference that the engine's model and the
 * expansion are held against. Written from the architecture (Radford et al. 2019; pre-norm, Conv1D
 * layout [in, out], gelu_new), sharing nothing with src/. Slow on purpose: it is read, not tuned.
 */

/** The part of a GPT-2 configuration that its numbers depend on. */
export interface F64Config {
  readonly vocab_size: number;
  readonly n_positions: number;
  readonly n_embd: number;
  readonly n_layer: number;
  readonly n_head: number;
  readonly n_inner: number;
  readonly layer_norm_epsilon: number;
}

/** A model in host memory under Hugging Face's parameter names, f32 or f64. */
export interface F64Model {
  /** An F64Config: what is no GPT-2 has no numbers here. */
  readonly config: object;
  readonly weights: ReadonlyMap<string, { readonly data: ArrayLike<number> | BigInt64Array }>;
}

/** Logits [T, V] and the activations at every hook, all row-major with T rows. */
export interface F64Run {
  readonly logits: Float64Array;
  readonly hooks: ReadonlyMap<string, Float64Array>;
}

/** Runs one sequence. `hook_pattern` is [H, T, T]; everything else is [T, width]. */
export function runF64(model: F64Model, ids: ArrayLike<number>): F64Run {
  const config = model.config as F64Config;
  const { n_embd: d, n_head: nHead, n_inner: dMlp, vocab_size: V } = config;
  const T = ids.length;
  const hooks = new Map<string, Float64Array>();
  const weight = (name: string): Float64Array => {
    const tensor = model.weights.get(`transformer.${name}`);
    if (tensor === undefined) throw new Error(`no parameter transformer.${name}`);
    return Float64Array.from(tensor.data as ArrayLike<number>);
  };
  const norm = (x: Float64Array, name: string) =>
    layerNormF64(x, weight(`${name}.weight`), weight(`${name}.bias`), config.layer_norm_epsilon);
  const conv = (x: Float64Array, name: string, nIn: number) =>
    affineF64(x, weight(`${name}.weight`), weight(`${name}.bias`), nIn);

  const wte = weight("wte.weight");
  const wpe = weight("wpe.weight");
  const embed = new Float64Array(T * d);
  let h: Float64Array = new Float64Array(T * d);
  for (let t = 0; t < T; t++) {
    for (let i = 0; i < d; i++) {
      embed[t * d + i] = wte[ids[t] * d + i];
      h[t * d + i] = embed[t * d + i] + wpe[t * d + i];
    }
  }
  hooks.set("hook_embed", embed);
  for (let layer = 0; layer < config.n_layer; layer++) {
    const hook = (name: string, value: Float64Array) => hooks.set(`blocks.${layer}.${name}`, value);
    hook("hook_resid_pre", h);
    const qkv = conv(norm(h, `h.${layer}.ln_1`), `h.${layer}.attn.c_attn`, d);
    const [q, k, v] = [0, 1, 2].map((part) => columns(qkv, 3 * d, part * d, d));
    const { z, pattern } = attentionF64(q, k, v, T, nHead);
    hook("attn.hook_q", q);
    hook("attn.hook_k", k);
    hook("attn.hook_v", v);
    hook("attn.hook_pattern", pattern);
    hook("attn.hook_z", z);
    const attnOut = conv(z, `h.${layer}.attn.c_proj`, d);
    hook("hook_attn_out", attnOut);
    h = sum(h, attnOut);
    hook("hook_resid_mid", h);
    const mlpIn = norm(h, `h.${layer}.ln_2`);
    hook("mlp.hook_in", mlpIn);
    const pre = conv(mlpIn, `h.${layer}.mlp.c_fc`, d);
    const post = pre.map(geluNew);
    hook("mlp.hook_post", post);
    const mlpOut = conv(post, `h.${layer}.mlp.c_proj`, dMlp);
    hook("hook_mlp_out", mlpOut);
    h = sum(h, mlpOut);
    hook("hook_resid_post", h);
  }
  const normalized = norm(h, "ln_f");
  hooks.set("ln_final.hook_normalized", normalized);
  const logits = new Float64Array(T * V);
  for (let t = 0; t < T; t++) {
    for (let v = 0; v < V; v++) {
      let total = 0;
      for (let i = 0; i < d; i++) total += normalized[t * d + i] * wte[v * d + i];
      logits[t * V + v] = total;
    }
  }
  return { logits, hooks };
}

/** LayerNorm of each row of x [n, d]; gain and bias are [d], the variance is the biased one. */
export function layerNormF64(
  x: Float64Array,
  gain: Float64Array,
  bias: Float64Array,
  eps: number,
): Float64Array {
  const d = gain.length;
  const out = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += d) {
    let mean = 0;
    for (let i = 0; i < d; i++) mean += x[start + i] / d;
    let variance = 0;
    for (let i = 0; i < d; i++) variance += (x[start + i] - mean) ** 2 / d;
    for (let i = 0; i < d; i++) {
      out[start + i] = ((x[start + i] - mean) / Math.sqrt(variance + eps)) * gain[i] + bias[i];
    }
  }
  return out;
}

/** x [n, nIn] · w [nIn, nOut] + b [nOut]. */
export function affineF64(
  x: Float64Array,
  w: Float64Array,
  b: Float64Array,
  nIn: number,
): Float64Array {
  const nOut = b.length;
  const n = x.length / nIn;
  const out = new Float64Array(n * nOut);
  for (let row = 0; row < n; row++) {
    for (let j = 0; j < nOut; j++) {
      let total = b[j];
      for (let i = 0; i < nIn; i++) total += x[row * nIn + i] * w[i * nOut + j];
      out[row * nOut + j] = total;
    }
  }
  return out;
}

/** GPT-2's tanh approximation of GELU. */
export function geluNew(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

/** Causal attention of q, k, v [T, nHead · dHead]: z of that shape and the pattern [nHead, T, T]. */
export function attentionF64(
  q: Float64Array,
  k: Float64Array,
  v: Float64Array,
  T: number,
  nHead: number,
): { z: Float64Array; pattern: Float64Array } {
  const width = q.length / T;
  const dHead = width / nHead;
  const z = new Float64Array(T * width);
  const pattern = new Float64Array(nHead * T * T);
  for (let head = 0; head < nHead; head++) {
    for (let t = 0; t < T; t++) {
      const scores: number[] = [];
      for (let s = 0; s <= t; s++) {
        let dot = 0;
        for (let i = 0; i < dHead; i++) {
          dot += q[t * width + head * dHead + i] * k[s * width + head * dHead + i];
        }
        scores.push(dot / Math.sqrt(dHead));
      }
      const top = Math.max(...scores);
      const total = scores.reduce((acc, score) => acc + Math.exp(score - top), 0);
      for (let s = 0; s <= t; s++) {
        const share = Math.exp(scores[s] - top) / total;
        pattern[(head * T + t) * T + s] = share;
        for (let i = 0; i < dHead; i++) {
          z[t * width + head * dHead + i] += share * v[s * width + head * dHead + i];
        }
      }
    }
  }
  return { z, pattern };
}

function columns(x: Float64Array, width: number, from: number, count: number): Float64Array {
  const n = x.length / width;
  const out = new Float64Array(n * count);
  for (let row = 0; row < n; row++) {
    out.set(x.subarray(row * width + from, row * width + from + count), row * count);
  }
  return out;
}

function sum(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value + b[i]);
}
