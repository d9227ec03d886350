/**
 * @file An Arrow dump as something to train on: its sequences are found by document and position, and their rows
 * read from the disk as they are wanted, so that a dump may be larger than the memory. A dump of all tokens of some
 * sequences streams the same numbers as the model that made it does on those sequences.
 */
import { tf } from "../src/engine/index.ts";
import { type ActivationDump, UsageError } from "../src/io/index.ts";
import type { TargetedRows } from "./activations.ts";
import { follows } from "./rows/follows.ts";
import type { SequenceReader } from "./shared-activations.ts";

/** How a dump is read. */
export interface DumpSequenceOptions {
  /** Leading tokens of each sequence to leave out; a dump that says it has none of them keeps what it has. Default 1. */
  readonly firstTokensExcluded?: number;
  /** All, all but every tenth document, or every tenth; sequences where there are fewer than ten documents. Default all. */
  readonly part?: "all" | "train" | "held-out";
}

/** Sequences of a dump, which hold files open until they are closed. */
export interface DumpSequences extends SequenceReader {
  /** Rows that are read, those left out not counted. */
  readonly rows: number;
  /** What is or would be held out one in ten of; null where there are fewer than ten sequences. */
  readonly heldOut: "documents" | "sequences" | null;
  close(): void;
}

/** What of a dump SAEs were trained and measured on, as eval.json of a run on one states it. */
export interface DumpUse {
  /** Name of the file. */
  readonly file: string;
  readonly rows: number;
  readonly trained_rows: number;
  /** What one in ten was held out of; null with fewer than ten: then the SAEs are measured on what they were trained on. */
  readonly held_out: DumpSequences["heldOut"];
  readonly held_out_rows: number | null;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Longer sequences are shuffled in pieces, so that a chunk is a mix of many. */
const longestPiece = 256;

/** Of so many documents one is held out. */
const heldOutEvery = 10;

/** Pieces that are read at a time. */
const piecesAtOnce = 32;

/** Opens some hooks of a dump. Errors: UsageError for hooks it doesn't have, and where no row is left. */
export function dumpSequences(
  dump: ActivationDump,
  hooks: readonly string[],
  { firstTokensExcluded = 1, part = "all" }: DumpSequenceOptions = {},
): DumpSequences {
  const widths = hooks.map((name) => dump.hook(name));
  const { metadata } = dump;
  const gone = Number(metadata["sae_carry.first_tokens_excluded"] ?? 0) || 0;
  const skip = Math.max(0, firstTokensExcluded - gone);
  const all = findPieces(dump, skip, Math.max(longestPiece, dump.context));
  const { heldOut, pieces } = choose(all, part);
  if (pieces.starts.length === 0) {
    throw new UsageError({
      code: "no-activations",
      where: dump.path,
      expected: `${part === "all" ? "" : `${part} `}sequences of more than ${skip} tokens`,
      got: `${dump.rows} rows, none of them in such a sequence`,
    });
  }
  const { starts, lengths } = pieces;
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  const readers = widths.map(({ name }) => dump.rowReader(name));
  return {
    hooks: widths,
    nSeq: starts.length,
    rows,
    heldOut,
    atOnce: piecesAtOnce,
    rowsIn: (i) => lengths[i],
    async read(sequences) {
      const total = sequences.reduce((sum, i) => sum + lengths[i], 0);
      return readers.map((reader) => {
        const out = new Float32Array(total * reader.width);
        let at = 0;
        for (const i of sequences) {
          out.set(reader.read(starts[i], starts[i] + lengths[i]), at * reader.width);
          at += lengths[i];
        }
        return out;
      });
    },
    close() {
      for (const reader of readers) reader.close();
    },
  };
}

/** Where the pieces of a dump lie: first row, number of rows, and the number of their document in the order of the file. */
interface Pieces {
  readonly starts: readonly number[];
  readonly lengths: readonly number[];
  readonly documents: readonly number[];
}

function findPieces(dump: ActivationDump, skip: number, longest: number): Pieces {
  const starts: number[] = [];
  const lengths: number[] = [];
  const documents: number[] = [];
  let row = 0;
  let since = 0; // rows of the sequence before this one
  let isOpen = false;
  let document = -1;
  let [docBefore, posBefore] = [Number.NaN, Number.NaN];
  for (const { doc, pos } of dump.keys()) {
    for (let i = 0; i < doc.length; i++, row++) {
      if (follows(docBefore, posBefore, doc[i], pos[i])) since++;
      else {
        since = 0;
        isOpen = false;
        if (doc[i] !== docBefore) document++;
      }
      [docBefore, posBefore] = [doc[i], pos[i]];
      if (since < skip) continue;
      if (isOpen && lengths[lengths.length - 1] < longest) lengths[lengths.length - 1]++;
      else {
        starts.push(row);
        lengths.push(1);
        documents.push(document);
        isOpen = true;
      }
    }
  }
  return { starts, lengths, documents };
}

function choose(
  all: Pieces,
  part: "all" | "train" | "held-out",
): { readonly pieces: Pieces; readonly heldOut: DumpSequences["heldOut"] } {
  const { starts, documents } = all;
  const heldOut =
    new Set(documents).size >= heldOutEvery
      ? "documents"
      : starts.length >= heldOutEvery
        ? "sequences"
        : null;
  if (part === "all" || heldOut === null) {
    const none = { starts: [], lengths: [], documents: [] };
    return { pieces: part === "held-out" ? none : all, heldOut };
  }
  const isHeldOut = (i: number): boolean =>
    (heldOut === "documents" ? documents[i] : i) % heldOutEvery === heldOutEvery - 1;
  const kept = (_: number, i: number): boolean => isHeldOut(i) === (part === "held-out");
  const pieces = {
    starts: starts.filter(kept),
    lengths: all.lengths.filter(kept),
    documents: documents.filter(kept),
  };
  return { pieces, heldOut };
}

/**
 * About `tokens` rows of a hook for measuring, evenly spread over the sequences: blocks [rows, width] on the engine,
 * which the caller disposes. `pause` is awaited after each.
 */
export async function* sequenceBlocks(
  reader: SequenceReader & { readonly rows: number },
  hook: string,
  tokens: number,
  pause: () => Promise<void> = async () => {},
): AsyncGenerator<tf.Tensor2D> {
  for await (const [block] of blocksAt(reader, [hook], tokens, pause)) yield block;
}

/** The same rows at two hooks, such as what a transcoder reads and what it reconstructs. */
export async function* sequencePairs(
  reader: SequenceReader & { readonly rows: number },
  hooks: readonly [input: string, target: string],
  tokens: number,
  pause: () => Promise<void> = async () => {},
): AsyncGenerator<TargetedRows> {
  for await (const [input, target] of blocksAt(reader, hooks, tokens, pause)) {
    yield { input, target };
  }
}

async function* blocksAt(
  reader: SequenceReader & { readonly rows: number },
  names: readonly string[],
  tokens: number,
  pause: () => Promise<void>,
): AsyncGenerator<tf.Tensor2D[]> {
  const { hooks, nSeq, atOnce } = reader;
  const at = names.map((name) => hooks.findIndex((hook) => hook.name === name));
  const wanted = Math.min(nSeq, Math.ceil((tokens * nSeq) / reader.rows));
  const chosen = Int32Array.from({ length: wanted }, (_, i) => Math.floor((i * nSeq) / wanted));
  for (let from = 0; from < wanted; from += atOnce) {
    const rows = await reader.read(chosen.subarray(from, from + atOnce));
    yield at.map((h) => {
      const { width } = hooks[h];
      return tf.tensor2d(rows[h], [rows[h].length / width, width]);
    });
    await pause();
  }
}
