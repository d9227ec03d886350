/**
 * @file Streams of activations to train SAEs on, of several hooks at once: what is read together (one forward
 * pass, one place in a dump) is read once and handed to all. A batch is a pure function of its step, so that a
 * resumed run sees what an uninterrupted one would have: sequences are permuted within epochs, their rows laid
 * end to end, and rows are shuffled within chunks of some batches. One chunk is kept: that is the buffer.
 * Rows of large norm can be left out: those above a multiple of the median norm of the first chunk
 * (dictionary_learning's `max_activation_norm_multiple`); another row of the chunk takes the place of each, so
 * that batches stay where they are.
 */
import { batchRows } from "../src/data/index.ts";
import { type Rng, tf } from "../src/engine/index.ts";
import { RunError, UsageError } from "../src/io/index.ts";
import { normLimit, rowsAbove } from "./high-norm.ts";

/** Batches of activation rows by step. */
export interface ActivationSource {
  /** Width of a row. */
  readonly dIn: number;
  /** The batch of a step (from 0): [batchSize, dIn] on the engine; the caller disposes it. */
  batch(step: number): Promise<tf.Tensor2D>;
  /** What is to be reconstructed from those rows, where it is not they: activations of another hook on the same tokens. */
  readonly target?: {
    readonly width: number;
    /** [batchSize, width], row by row with `batch`. */
    batch(step: number): Promise<tf.Tensor2D>;
  };
  /** Frees what the source keeps (not the model). */
  dispose(): void;
}

/** Activations by sequence, of one or several hooks. */
export interface SequenceReader {
  readonly hooks: readonly { readonly name: string; readonly width: number }[];
  readonly nSeq: number;
  /** How many rows sequence `i` has (those that are left out at its head not counted). */
  rowsIn(i: number): number;
  /** The rows of some sequences end to end, [rows, width] for each hook in turn. Read one or many at a time. */
  read(sequences: Int32Array): Promise<Float32Array[]>;
  /** Sequences that are best read at a time. */
  readonly atOnce: number;
}

/** How activations are streamed. */
export interface SharedActivationOptions {
  /** Rows per batch. */
  readonly batchSize: number;
  /** Names the order of sequences and rows. */
  readonly rng: Rng;
  /** Batches per chunk: rows are shuffled within one, and one is kept in memory. Default 16. */
  readonly chunkBatches?: number;
  /** Rows whose norm is above so many medians are left out; null = none. Default null. */
  readonly maxNormRatio?: number | null;
}

/** Streams that share what they read. */
export interface SharedActivations {
  /** Rows that are kept, and their bytes over all hooks. */
  readonly buffer: { readonly tokens: number; readonly bytes: number };
  /**
   * The stream of a hook, with those of `target` as what is to be reconstructed from it. Streams of different hooks
   * are to be read in step: a chunk is kept for all of them.
   */
  at(hook: string, target?: string | null): ActivationSource;
  /** Frees the buffer. */
  dispose(): void;
}

/** Batches kept where nothing else is asked for. */
export const defaultChunkBatches = 16;

interface Chunk {
  readonly index: number;
  readonly rows: readonly Float32Array[]; // by hook, [chunkRows, width]
  /** By hook, 1 for rows of too large a norm; null where none are left out. */
  readonly isAbove: readonly Uint8Array[] | null;
  /** Where a stream of some hooks finds its rows, worked out once for each. */
  readonly places: Map<string, Int32Array>;
}

/** Streams of the reader's hooks, again and again in new order. Errors: UsageError where it has no rows. */
export function sharedActivations(
  reader: SequenceReader,
  {
    batchSize,
    rng,
    chunkBatches = defaultChunkBatches,
    maxNormRatio = null,
  }: SharedActivationOptions,
): SharedActivations {
  const { hooks, nSeq } = reader;
  const perEpoch = rowsOfAll(reader);
  if (perEpoch === 0) {
    throw new UsageError({
      code: "no-activations",
      where: hooks.map(({ name }) => name).join(", "),
      expected: "sequences with rows to train on",
      got: `${nSeq} sequences without rows, once first tokens are left out`,
    });
  }
  const chunkRows = chunkBatches * batchSize;
  const width = hooks.reduce((sum, hook) => sum + hook.width, 0);
  const limits = new Map<number, number>(); // by hook
  let epoch: EpochOrder | undefined;
  let kept: Promise<Chunk> | undefined;
  let keptIndex = -1;

  const read = async (index: number): Promise<Float32Array[]> => {
    const rows = hooks.map((hook) => new Float32Array(chunkRows * hook.width));
    const place = Int32Array.from({ length: chunkRows }, (_, i) => i);
    rng.fork(`chunk ${index}`).shuffle(place);
    for (let done = 0; done < chunkRows; ) {
      const at = index * chunkRows + done;
      const number = Math.floor(at / perEpoch);
      if (epoch?.number !== number) epoch = epochOrder(reader, number, rng);
      done += await readFrom(epoch, at - number * perEpoch, done, place, rows);
    }
    return rows;
  };

  /** Puts rows of one epoch from `within` on where they belong; returns how many there were. */
  const readFrom = async (
    { sequences, starts }: EpochOrder,
    within: number,
    done: number,
    place: Int32Array,
    to: readonly Float32Array[],
  ): Promise<number> => {
    const wanted = Math.min(chunkRows - done, perEpoch - within);
    let slot = slotOf(starts, within);
    while (slot < nSeq && starts[slot] < within + wanted) {
      let end = slot + 1;
      while (end < nSeq && end - slot < reader.atOnce && starts[end] < within + wanted) end++;
      const found = await reader.read(sequences.subarray(slot, end));
      const count = starts[end] - starts[slot];
      for (const [h, hook] of hooks.entries()) {
        for (let i = 0; i < count; i++) {
          const row = starts[slot] + i - within;
          if (row < 0 || row >= wanted) continue;
          const values = found[h].subarray(i * hook.width, (i + 1) * hook.width);
          to[h].set(values, place[done + row] * hook.width);
        }
      }
      slot = end;
    }
    return wanted;
  };

  const compute = async (index: number): Promise<Chunk> => {
    const rows = await read(index);
    const places = new Map<string, Int32Array>();
    if (maxNormRatio === null) return { index, rows, isAbove: null, places };
    if (limits.size === 0) {
      const first = index === 0 ? rows : await read(0);
      for (const [h, hook] of hooks.entries()) {
        limits.set(h, normLimit(first[h], hook.width, maxNormRatio));
      }
    }
    const isAbove = hooks.map((hook, h) => rowsAbove(rows[h], hook.width, limits.get(h) as number));
    return { index, rows, isAbove, places };
  };

  /** Rows of a chunk in the order of a stream of these hooks: those of large norm at any of them have others in their place. */
  const placesOf = ({ index, isAbove, places }: Chunk, of: readonly number[]): Int32Array => {
    const key = of.join();
    let found = places.get(key);
    if (!found) {
      found = isAbove
        ? placesBelow(
            of.map((h) => isAbove[h]),
            of.map((h) => hooks[h].name).join(" and "),
            rng.fork(`replace ${index}`),
          )
        : Int32Array.from({ length: chunkRows }, (_, i) => i);
      places.set(key, found);
    }
    return found;
  };

  const chunk = (index: number): Promise<Chunk> => {
    if (kept === undefined || keptIndex !== index) {
      keptIndex = index;
      kept = undefined; // the former one is given back before the next is made
      kept = compute(index);
    }
    return kept;
  };

  const dispose = (): void => {
    kept = undefined;
    epoch = undefined;
  };
  return {
    buffer: { tokens: chunkRows, bytes: chunkRows * width * Float32Array.BYTES_PER_ELEMENT },
    at(name, target = null) {
      const indexOf = (wanted: string): number => {
        const h = hooks.findIndex((hook) => hook.name === wanted);
        if (h < 0) throw new Error(`internal: no activations of ${wanted} are read`);
        return h;
      };
      const read = [name, ...(target === null ? [] : [target])].map(indexOf);
      const batch = async (h: number, step: number): Promise<tf.Tensor2D> => {
        const now = await chunk(Math.floor(step / chunkBatches));
        const places = placesOf(now, read);
        const { width } = hooks[h];
        const out = new Float32Array(batchSize * width);
        const first = (step % chunkBatches) * batchSize;
        for (let i = 0; i < batchSize; i++) {
          const from = places[first + i] * width;
          out.set(now.rows[h].subarray(from, from + width), i * width);
        }
        return tf.tensor2d(out, [batchSize, width]);
      };
      return {
        dIn: hooks[read[0]].width,
        batch: (step) => batch(read[0], step),
        ...(target !== null && {
          target: { width: hooks[read[1]].width, batch: (step) => batch(read[1], step) },
        }),
        dispose,
      };
    },
    dispose,
  };
}

/** The sequences of an epoch in its order. */
interface EpochOrder {
  readonly number: number;
  readonly sequences: Int32Array; // [nSeq]
  /** The row at which each begins, and the end. */
  readonly starts: Float64Array; // [nSeq + 1]
}

function epochOrder(reader: SequenceReader, number: number, rng: Rng): EpochOrder {
  const { nSeq } = reader;
  const sequences = batchRows(nSeq, nSeq, number, rng);
  const starts = new Float64Array(nSeq + 1);
  for (let i = 0; i < nSeq; i++) starts[i + 1] = starts[i] + reader.rowsIn(sequences[i]);
  return { number, sequences, starts };
}

/** The last slot that begins at or before a row (of those that have rows). */
function slotOf(starts: Float64Array, row: number): number {
  let low = 0;
  let high = starts.length - 2;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (starts[middle] <= row) low = middle;
    else high = middle - 1;
  }
  return low;
}

function rowsOfAll(reader: SequenceReader): number {
  let rows = 0;
  for (let i = 0; i < reader.nSeq; i++) rows += reader.rowsIn(i);
  return rows;
}

/** For every row its own place, or where it is of too large a norm at any hook the drawn place of one that is not. */
function placesBelow(masks: readonly Uint8Array[], where: string, rng: Rng): Int32Array {
  const places = Int32Array.from({ length: masks[0].length }, (_, i) => i);
  const isGood = (i: number): boolean => masks.every((mask) => mask[i] === 0);
  const good = places.filter(isGood);
  if (good.length === 0) {
    throw new RunError({
      code: "high-norm",
      where,
      expected: "rows with a norm below the limit",
      got: `${places.length} rows in turn above it`,
      hint: "Leave more large norms in, or none out: saes[].max_norm_ratio.",
    });
  }
  return places.map((i) => (isGood(i) ? i : good[rng.int(good.length)]));
}
