/**
 * What sets one family of models apart from another: names and shapes of its weights, its blocks, its configuration.
 * Everything else (the order of a forward pass, hooks, checkpoints, training) is written once over this interface.
 */
import type { AttentionShape, Projections, tf } from "../engine/index.ts";
import type { GrownSizes, ModelConfig, ModelSizes, NewModelSizes } from "./config.ts";

/** Looks up a placed parameter by its Hugging Face name. Errors: internal when there is none. */
export type Param = <T extends tf.Tensor>(name: string) => T;

/**
 * A point inside an MLP: what its matrices read, the normed stream with gain and bias [n, d] (circuit-tracer's name, as
 * TransformerLens has none for it); the neurons [n, dMlp]; with experts, the router's probabilities [n, N] before the
 * largest are chosen, and each expert's neurons [n, dMlp], zero for tokens that don't use it.
 */
export type MlpPoint =
  | "mlp.hook_in"
  | "mlp.hook_post"
  | "mlp.hook_expert_weights"
  | `mlp.experts.${number}.hook_post`;

/** The points inside an MLP without experts. */
export const densePoints: readonly MlpPoint[] = ["mlp.hook_in", "mlp.hook_post"];

/** The pieces of one block; x is the residual stream [n, d]. */
export interface Block {
  /** Queries, keys and values of the normed stream. */
  projections(x: tf.Tensor2D): Projections;
  /** The heads' outputs [n, H·dh] back into the stream [n, d]. */
  attentionOut(z: tf.Tensor2D): tf.Tensor2D;
  /** The MLP from the stream to what it adds to it [n, d], in steps between which hooks see it. */
  mlp(x: tf.Tensor2D): MlpSteps;
  /** Where the engine has them as one operation each: the same branches, added to the stream, for passes that no hook sees. */
  readonly branches?: Branches;
}

/** A block's branches with what they are added to: from the stream [n, d] to the stream [n, d]. */
export interface Branches {
  attention(x: tf.Tensor2D, shape: AttentionShape): tf.Tensor2D;
  mlp(x: tf.Tensor2D): tf.Tensor2D;
}

/** A value inside an MLP, made where it's asked for. */
export interface MlpValue {
  readonly point: MlpPoint;
  readonly value: () => tf.Tensor2D;
}

/** Yields values in their order, goes on with what it is handed in their place (undefined = its own). */
export type MlpSteps = Generator<MlpValue, tf.Tensor2D, tf.Tensor2D | undefined>;

/** The steps of an MLP: its input [n, d], and those of the rest of it. */
export function* mlpFrom(input: tf.Tensor2D, rest: (input: tf.Tensor2D) => MlpSteps): MlpSteps {
  const given = yield { point: "mlp.hook_in", value: () => input };
  return yield* rest(given ?? input);
}

/** The steps of an MLP whose neurons [n, dMlp] are all used: from its input, after their activation, and back. */
export function denseMlp(
  input: tf.Tensor2D,
  neuronsOf: (input: tf.Tensor2D) => tf.Tensor2D,
  out: (neurons: tf.Tensor2D) => tf.Tensor2D,
): MlpSteps {
  return mlpFrom(input, function* (read): MlpSteps {
    const neurons = neuronsOf(read);
    const given = yield { point: "mlp.hook_post", value: () => neurons };
    return out(given ?? neurons);
  });
}

/** How a parameter starts out. */
export type InitialValue = "one" | "zero" | "normal" | "residual";

/** One family. */
export interface Family<C extends ModelConfig = ModelConfig> {
  /** For people, e.g. "GPT-2". */
  readonly title: string;
  readonly modelTypes: readonly string[];
  /** Reads the parsed JSON of a `config.json`. Errors: UsageError naming the field. */
  parse(json: unknown, where: string): C;
  /** The configuration of a new model of one of the family's types. Errors: UsageError naming the size that can't be. */
  sized(type: string, sizes: NewModelSizes, where: string): C;
  /** What is written to `config.json`, but for the type of the stored numbers. */
  json(config: C): Record<string, unknown>;
  sizes(config: C): ModelSizes;
  /** The configuration with other sizes. Where heads make up the width, their size follows from it. */
  resized(config: C, sizes: GrownSizes): C;
  /** Every parameter's shape by its name, in the order they are stored. */
  shapes(config: C): Map<string, readonly number[]>;
  /** The name prefix of a block's parameters. */
  blockName(layer: number): string;
  /** Name of the embedding [V, d]. */
  readonly embedding: string;
  /** Name of the unembedding [V, d] where it isn't the embedding. */
  readonly unembedding: string;
  /** Name of the final norm's gain [d]. */
  readonly finalGain: string;
  /** Other names under which checkpoints store a parameter; the name itself where there is none. */
  canonicalName(stored: string): string;
  /** Whether a stored tensor is a constant that older checkpoints carry along. */
  isBuffer(name: string): boolean;
  initial(name: string, shape: readonly number[]): InitialValue;
  /** Whether attention and MLP of a block both read the stream as it enters the block. */
  isParallel(config: C): boolean;
  /** Sizes and rotary settings of attention. */
  attention(config: C): Pick<AttentionShape, "kvHeads" | "rotary">;
  /** What is added to the token embeddings for their positions [T of each sequence], or null. */
  positions(param: Param, config: C, positions: Int32Array): tf.Tensor2D | null;
  /** The hook points inside an MLP, in their order. */
  mlpPoints(config: C): readonly MlpPoint[];
  block(param: Param, config: C, layer: number): Block;
  finalNorm(param: Param, config: C, x: tf.Tensor2D): tf.Tensor2D;
}
