/**
 * @file Streams of activations to train SAEs on. A batch is a pure function of its step, so that a
 * resumed run sees what an uninterrupted one would have: sequences are permuted within epochs,
 * their rows laid end to end (leading tokens left out), and rows are shuffled within chunks of some
 * batches, one chunk being computed and kept at a time.
 */
import { batchRows } from "../src/data/index.ts";
import { hostView, type Rng, tf } from "../src/engine/index.ts";
import { activationsAt, hookWidth, type Model } from "../src/models/index.ts";

/** Batches of activation rows by step. */
export interface ActivationSource {
  /** Width of a row. */
  readonly dIn: number;
  /** The batch of a step (from 0): [batchSize, dIn] on the engine; the caller disposes it. */
  batch(step: number): Promise<tf.Tensor2D>;
  /** Frees what the source keeps (not the model). */
  dispose(): void;
}

/** How a model's activations are streamed. */
export interface ActivationOptions {
  /** Rows per batch. */
  readonly batchSize: number;
  /** Names the order of sequences and rows. */
  readonly rng: Rng;
  /** Batches per chunk: rows are shuffled within one, and one is kept in memory. */
  readonly chunkBatches?: number;
  /** Leading tokens of each sequence to leave out. */
  readonly firstTokensExcluded?: number;
  /** Sequences per forward pass. */
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
  { ids, nSeq, context }: Sequences,
  { skip, batchSequences = 32, pause }: KeptOptions,
): AsyncGenerator<tf.Tensor2D> {
  for (let from = 0; from < nSeq; from += batchSequences) {
    const batch = Math.min(batchSequences, nSeq - from);
    yield tf.tidy(() => {
      const part = ids.subarray(from * context, (from + batch) * context);
      const rows = activationsAt(model, part, batch, hook);
      const width = rows.shape[1];
      const cube = tf.slice(tf.reshape(rows, [batch, context, width]), [0, skip, 0], [-1, -1, -1]);
      return tf.reshape(cube, [batch * (context - skip), width]) as tf.Tensor2D;
    });
    await pause?.();
  }
}

/** The activations of a model at a hook over the sequences of a set, again and again in new order. */
export function modelActivations(
  model: Model,
  hook: string,
  set: Sequences,
  {
    batchSize,
    rng,
    chunkBatches = 16,
    firstTokensExcluded = 1,
    batchSequences = 32,
  }: ActivationOptions,
): ActivationSource {
  const dIn = hookWidth(model.config, hook);
  const perSequence = set.context - firstTokensExcluded;
  if (set.nSeq < 1 || perSequence < 1) {
    throw new Error(
      `internal: ${set.nSeq} sequences of ${set.context} tokens leave no rows to train on`,
    );
  }
  const chunkRows = chunkBatches * batchSize;
  let kept: { index: number; rows: Float32Array } | undefined;
  const computeChunk = async (index: number): Promise<Float32Array> => {
    const firstRow = index * chunkRows;
    const lastRow = firstRow + chunkRows;
    const place = Int32Array.from({ length: chunkRows }, (_, i) => i);
    rng.fork(`chunk ${index}`).shuffle(place);
    const rows = new Float32Array(chunkRows * dIn);
    const endSlot = Math.ceil(lastRow / perSequence);
    for (let slot = Math.floor(firstRow / perSequence); slot < endSlot; ) {
      const batch = Math.min(batchSequences, endSlot - slot);
      const ids = new Int32Array(batch * set.context);
      for (let b = 0; b < batch; b++) {
        const from = batchRows(set.nSeq, 1, slot + b, rng)[0] * set.context;
        ids.set(set.ids.subarray(from, from + set.context), b * set.context);
      }
      const value = activationsAt(model, ids, batch, hook);
      const values = hostView(value) ?? ((await value.data()) as Float32Array);
      for (let b = 0; b < batch; b++) {
        for (let t = 0; t < perSequence; t++) {
          const row = (slot + b) * perSequence + t - firstRow;
          if (row < 0 || row >= chunkRows) continue;
          const from = (b * set.context + firstTokensExcluded + t) * dIn;
          rows.set(values.subarray(from, from + dIn), place[row] * dIn);
        }
      }
      value.dispose();
      slot += batch;
    }
    return rows;
  };

  return {
    dIn,
    async batch(step) {
      const index = Math.floor(step / chunkBatches);
      if (kept?.index !== index) kept = { index, rows: await computeChunk(index) };
      const from = (step % chunkBatches) * batchSize * dIn;
      return tf.tensor2d(kept.rows.slice(from, from + batchSize * dIn), [batchSize, dIn]);
    },
    dispose() {
      kept = undefined;
    },
  };
}

/** Rows [n, dIn] kept in memory as a source: batches cycle through them in the order given. */
export function rowActivations(
  rows: Float32Array,
  dIn: number,
  batchSize: number,
): ActivationSource {
  const n = rows.length / dIn;
  return {
    dIn,
    async batch(step) {
      const out = new Float32Array(batchSize * dIn);
      for (let i = 0; i < batchSize; i++) {
        const from = ((step * batchSize + i) % n) * dIn;
        out.set(rows.subarray(from, from + dIn), i * dIn);
      }
      return tf.tensor2d(out, [batchSize, dIn]);
    },
    dispose() {},
  };
}
