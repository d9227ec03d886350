/**
 * A model's weights by their Hugging Face names, on the host and on the engine.
 * Initialisation: normal with deviation 0.02·√(768/d), residual outputs divided by √(2·layers): GPT-2's
 * at its own width, and as strong at others. With 0.02 a model of width 64 sits at the unigram loss
 * for its first 100,000 tokens.
 */
import { type Rng, tf } from "../engine/index.ts";
import { type HostTensor, sizeOf } from "../io/index.ts";
import type { ModelConfig } from "./config.ts";
import { familyOf, modelSizes } from "./families.ts";
import type { Gpt2Config } from "./gpt2-config.ts";

/** A model in ordinary memory: what is read, written, grown and compared. Never changed in place. */
export interface HostModel<C extends ModelConfig = ModelConfig> {
  readonly config: C;
  /** By Hugging Face name, e.g. `transformer.h.0.attn.c_attn.weight` [d, 3d]. */
  readonly weights: ReadonlyMap<string, HostTensor>;
}

/** A model placed on the engine. */
export interface Model<C extends ModelConfig = ModelConfig> {
  readonly config: C;
  readonly params: ReadonlyMap<string, tf.Tensor>;
  /** Frees its tensors. */
  dispose(): void;
}

/** Every parameter's shape by its name, in the order they are stored. */
export function parameterShapes(config: ModelConfig): Map<string, readonly number[]> {
  return familyOf(config).shapes(config);
}

/** The family's name for people, e.g. "GPT-2". */
export function familyTitle(config: ModelConfig): string {
  return familyOf(config).title;
}

/** The name prefix of a block's parameters. */
export function blockName(config: ModelConfig, layer: number): string {
  return familyOf(config).blockName(layer);
}

/** The name of the unembedding's parameter: the embedding's where the two are tied. */
export function unembeddingName(config: ModelConfig): string {
  const family = familyOf(config);
  return family.sizes(config).tied ? family.embedding : family.unembedding;
}

/** The final norm's gain [d], which the logit lens needs. */
export function finalGain({ config, params }: Model): tf.Tensor1D {
  return params.get(familyOf(config).finalGain) as tf.Tensor1D;
}

/** A model with fresh weights. Each parameter has a stream of its own, named by the parameter. */
export function initModel<C extends ModelConfig>(config: C, rng: Rng): HostModel<C> {
  const family = familyOf(config);
  const { dModel, nLayer } = family.sizes(config);
  const weights = new Map<string, HostTensor>();
  const deviation = 0.02 * Math.sqrt(768 / dModel);
  const residual = deviation / Math.sqrt(2 * nLayer);
  for (const [name, shape] of family.shapes(config)) {
    const data = new Float32Array(sizeOf(shape));
    const start = family.initial(name, shape);
    if (start === "one") data.fill(1);
    else if (start !== "zero") {
      const scale = start === "residual" ? residual : deviation;
      const stream = rng.fork(name);
      for (let i = 0; i < data.length; i++) data[i] = stream.normal() * scale;
    }
    weights.set(name, { shape, data });
  }
  return { config, weights };
}

/** `initModel` for a GPT-2. */
export function initGpt2(config: Gpt2Config, rng: Rng): HostModel<Gpt2Config> {
  return initModel(config, rng);
}

/** Copies a model's weights onto the engine; the caller disposes it. */
export function placeModel<C extends ModelConfig>(host: HostModel<C>): Model<C> {
  const params = new Map<string, tf.Tensor>();
  for (const [name, { shape, data }] of host.weights) {
    // copied: some backends keep the array they are given
    params.set(name, tf.tensor(Float32Array.from(data as Float32Array), [...shape], "float32"));
  }
  return { config: host.config, params, dispose: () => tf.dispose([...params.values()]) };
}

/** Reads parameters back from the engine. */
export async function fetchModel<C extends ModelConfig>(
  config: C,
  params: ReadonlyMap<string, tf.Tensor>,
): Promise<HostModel<C>> {
  const weights = new Map<string, HostTensor>();
  for (const [name, tensor] of params) {
    weights.set(name, { shape: tensor.shape, data: (await tensor.data()).slice() as Float32Array });
  }
  return { config, weights };
}

/** How many numbers the model holds (tied embeddings counted once). */
export function parameterCount(config: ModelConfig): number {
  let count = 0;
  for (const shape of parameterShapes(config).values()) count += sizeOf(shape);
  return count;
}

/**
 * Floating-point operations to train on one token: 6 per weight that multiplies (forward 2, backward
 * 4; Kaplan et al. 2020), the unembedding included and of the experts those that a token uses, plus
 * 12·layers·(heads·head width)·context for attention.
 */
export function trainingFlopsPerToken(config: ModelConfig, context: number): number {
  const { dModel, nLayer, nHead, headDim, vocabSize, experts } = modelSizes(config);
  const family = familyOf(config);
  let inBlock = 0; // all blocks are alike
  for (const [name, shape] of family.shapes(config)) {
    if (shape.length !== 2 || !name.startsWith(`${family.blockName(0)}.`)) continue;
    const expert = experts && /\.experts\.(\d+)\./.exec(name);
    if (!expert || Number(expert[1]) < experts.perToken) inBlock += sizeOf(shape);
  }
  const weights = nLayer * inBlock + vocabSize * dModel;
  return 6 * weights + 12 * nLayer * nHead * headDim * context;
}
