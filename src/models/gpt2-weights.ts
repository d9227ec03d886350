/**
 * GPT-2's parameters by their Hugging Face names, on the host and on the engine. Linear weights
 * are stored [in, out] (transformers' Conv1D); `c_attn` is q | k | v along its columns.
 * Initialisation: normal with deviation 0.02·√(768/d), residual outputs divided by √(2·layers): GPT-2's
 * at its own width, and as strong at others. With 0.02 a model of width 64 sits at the unigram loss
 * for its first 100,000 tokens.
 */
import { type Rng, tf } from "../engine/index.ts";
import type { HostTensor } from "../io/index.ts";
import type { Gpt2Config } from "./gpt2-config.ts";

/** A model in ordinary memory: what is read, written, grown and compared. Never changed in place. */
export interface HostModel {
  readonly config: Gpt2Config;
  /** By Hugging Face name, e.g. `transformer.h.0.attn.c_attn.weight` [d, 3d]. */
  readonly weights: ReadonlyMap<string, HostTensor>;
}

/** A model placed on the engine. */
export interface Model {
  readonly config: Gpt2Config;
  readonly params: ReadonlyMap<string, tf.Tensor>;
  /** Frees its tensors. */
  dispose(): void;
}

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

/** The name prefix of a block's parameters. */
export function blockName(layer: number): string {
  return `transformer.h.${layer}`;
}

/** A model with fresh weights. Each parameter has a stream of its own, named by the parameter. */
export function initGpt2(config: Gpt2Config, rng: Rng): HostModel {
  const weights = new Map<string, HostTensor>();
  const deviation = 0.02 * Math.sqrt(768 / config.n_embd);
  const residual = deviation / Math.sqrt(2 * config.n_layer);
  for (const [name, shape] of gpt2Shapes(config)) {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
    if (/ln_\w+\.weight$/.test(name)) data.fill(1);
    else if (shape.length === 2) {
      const scale = name.endsWith("c_proj.weight") ? residual : deviation;
      const stream = rng.fork(name);
      for (let i = 0; i < data.length; i++) data[i] = stream.normal() * scale;
    }
    weights.set(name, { shape, data });
  }
  return { config, weights };
}

/** Copies a model's weights onto the engine; the caller disposes it. */
export function placeModel(host: HostModel): Model {
  const params = new Map<string, tf.Tensor>();
  for (const [name, { shape, data }] of host.weights) {
    // copied: some backends keep the array they are given
    params.set(name, tf.tensor(Float32Array.from(data as Float32Array), [...shape], "float32"));
  }
  return { config: host.config, params, dispose: () => tf.dispose([...params.values()]) };
}

/** Reads parameters back from the engine. */
export async function fetchModel(
  config: Gpt2Config,
  params: ReadonlyMap<string, tf.Tensor>,
): Promise<HostModel> {
  const weights = new Map<string, HostTensor>();
  for (const [name, tensor] of params) {
    weights.set(name, { shape: tensor.shape, data: (await tensor.data()).slice() as Float32Array });
  }
  return { config, weights };
}

/** How many numbers the model holds (tied embeddings counted once). */
export function parameterCount(config: Gpt2Config): number {
  let count = 0;
  for (const shape of gpt2Shapes(config).values()) count += shape.reduce((a, b) => a * b, 1);
  return count;
}

/**
 * Floating-point operations to train on one token: 6 per weight that multiplies (forward 2, backward
 * 4; Kaplan et al. 2020), the tied unembedding included, plus 12·layers·d·context for attention.
 */
export function trainingFlopsPerToken(config: Gpt2Config, context: number): number {
  const { n_embd: d, n_inner, n_layer, vocab_size } = config;
  const weights = n_layer * (4 * d * d + 2 * d * n_inner) + vocab_size * d;
  return 6 * weights + 12 * n_layer * d * context;
}
