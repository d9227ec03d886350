/**
 * @file Activations of a model: read once in order for measuring, by sequence for streams to train on, and rows
 * in memory as such a stream.
 */
import { hostView, tf } from "../src/engine/index.ts";
import { activationsAtAll, hookWidth, type Model } from "../src/models/index.ts";
import {
  type ActivationSource,
  type SequenceReader,
  type SharedActivationOptions,
  sharedActivations,
} from "./shared-activations.ts";

/** How a model's activations are streamed. */
export interface ActivationOptions extends SharedActivationOptions {
  /** Leading tokens of each sequence to leave out. Default 1. */
  readonly firstTokensExcluded?: number;
  /** Sequences per forward pass. Default 32. */
  readonly batchSequences?: number;
}

/** Sequences of equal length laid end to end. */
export interface Sequences {
  readonly ids: Int32Array; // [nSeq · context]
  readonly nSeq: number;
  readonly context: number;
}

/** How the activations of a set are read once, in order. */
export interface KeptOptions {
  /** Leading tokens of each sequence to leave out. */
  readonly skip: number;
  /** Sequences per forward pass. Default 32. */
  readonly batchSequences?: number;
  /** Awaited after each block: a chance for other work, or to stop by throwing. */
  readonly pause?: () => Promise<void>;
}

/**
 * A model's activations at a hook, in the order of the sequences: blocks [rows, width] on the engine. The
 * caller disposes them.
 */
export async function* keptActivations(
  model: Model,
  hook: string,
  set: Sequences,
  options: KeptOptions,
): AsyncGenerator<tf.Tensor2D> {
  for await (const [block] of keptAt(model, [hook], set, options)) yield block;
}

/** Rows on the engine and what is to be reconstructed from them. */
export interface TargetedRows {
  readonly input: tf.Tensor2D; // [rows, d_in]
  readonly target: tf.Tensor2D; // [rows, d_out]
}

/** The same at two hooks from one forward pass, such as what a transcoder reads and what it reconstructs. */
export async function* keptPairs(
  model: Model,
  hooks: readonly [input: string, target: string],
  set: Sequences,
  options: KeptOptions,
): AsyncGenerator<TargetedRows> {
  for await (const [input, target] of keptAt(model, hooks, set, options)) yield { input, target };
}

async function* keptAt(
  model: Model,
  hooks: readonly string[],
  { ids, nSeq, context }: Sequences,
  { skip, batchSequences = 32, pause }: KeptOptions,
): AsyncGenerator<tf.Tensor2D[]> {
  for (let from = 0; from < nSeq; from += batchSequences) {
    const batch = Math.min(batchSequences, nSeq - from);
    yield tf.tidy(() => {
      const part = ids.subarray(from * context, (from + batch) * context);
      return activationsAtAll(model, part, batch, hooks).map((rows) => {
        const width = rows.shape[1];
        const cube = tf.reshape(rows, [batch, context, width]);
        const kept = tf.slice(cube, [0, skip, 0], [-1, -1, -1]);
        return tf.reshape(kept, [batch * (context - skip), width]) as tf.Tensor2D;
      });
    });
    await pause?.();
  }
}

/**
 * A set's activations in a model at some hooks, by sequence: one forward pass makes those of all hooks, as deep as
 * the deepest of them.
 */
export function modelSequences(
  model: Model,
  hooks: readonly string[],
  set: Sequences,
  {
    firstTokensExcluded = 1,
    batchSequences = 32,
  }: Pick<ActivationOptions, "firstTokensExcluded" | "batchSequences"> = {},
): SequenceReader {
  const widths = hooks.map((name) => ({ name, width: hookWidth(model.config, name) }));
  const { context } = set;
  const skip = firstTokensExcluded;
  return {
    hooks: widths,
    nSeq: set.nSeq,
    atOnce: batchSequences,
    rowsIn: () => Math.max(0, context - skip),
    async read(sequences) {
      const ids = new Int32Array(sequences.length * context);
      for (const [b, sequence] of sequences.entries()) {
        ids.set(set.ids.subarray(sequence * context, (sequence + 1) * context), b * context);
      }
      const values = activationsAtAll(model, ids, sequences.length, hooks);
      const out: Float32Array[] = [];
      for (const [h, { width }] of widths.entries()) {
        const value = values[h];
        const all = hostView(value) ?? ((await value.data()) as Float32Array);
        const rows = new Float32Array(sequences.length * (context - skip) * width);
        for (let b = 0; b < sequences.length; b++) {
          const own = all.subarray((b * context + skip) * width, (b + 1) * context * width);
          rows.set(own, b * (context - skip) * width);
        }
        out.push(rows);
      }
      tf.dispose(values);
      return out;
    },
  };
}

/**
 * The activations of a model at a hook over the sequences of a set, again and again in new order; with `target`, those
 * of that hook as what is to be reconstructed from them.
 */
export function modelActivations(
  model: Model,
  hook: string,
  set: Sequences,
  { target = null, ...options }: ActivationOptions & { readonly target?: string | null },
): ActivationSource {
  const hooks = target === null ? [hook] : [hook, target];
  return sharedActivations(modelSequences(model, hooks, set, options), options).at(hook, target);
}

/**
 * Rows [n, dIn] kept in memory as a source: batches cycle through them in the order given. `targets` [n, d] are what
 * is to be reconstructed from them.
 */
export function rowActivations(
  rows: Float32Array,
  dIn: number,
  batchSize: number,
  targets?: Float32Array,
): ActivationSource {
  const n = rows.length / dIn;
  const cycle =
    (from: Float32Array, width: number) =>
    async (step: number): Promise<tf.Tensor2D> => {
      const out = new Float32Array(batchSize * width);
      for (let i = 0; i < batchSize; i++) {
        const at = ((step * batchSize + i) % n) * width;
        out.set(from.subarray(at, at + width), i * width);
      }
      return tf.tensor2d(out, [batchSize, width]);
    };
  const width = targets && targets.length / n;
  return {
    dIn,
    batch: cycle(rows, dIn),
    ...(targets && width && { target: { width, batch: cycle(targets, width) } }),
    dispose() {},
  };
}
