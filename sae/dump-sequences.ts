/**
 * @file An Arrow dump as something to train on: its sequences are found by document and position, and their rows
 * read from the disk as they are wanted, so that a dump may be larger than the memory. A dump of all tokens of some
 * sequences streams the same numbers as the model that made it does on those sequences.
 */
import { type ActivationDump, UsageError } from "../src/io/index.ts";
import { follows } from "./rows/follows.ts";
import type { SequenceReader } from "./shared-activations.ts";

/** How a dump is read. */
export interface DumpSequenceOptions {
  /** Leading tokens of each sequence to leave out; a dump that says it has none of them keeps what it has. Default 1. */
  readonly firstTokensExcluded?: number;
}

/** Sequences of a dump, which hold files open until they are closed. */
export interface DumpSequences extends SequenceReader {
  /** Rows that are read, those left out not counted. */
  readonly rows: number;
  close(): void;
}

/** Longer sequences are shuffled in pieces, so that a chunk is a mix of many. */
const longestPiece = 256;

/** Pieces that are read at a time. */
const piecesAtOnce = 32;

/** Opens some hooks of a dump. Errors: UsageError for hooks it doesn't have, and where no row is left. */
export function dumpSequences(
  dump: ActivationDump,
  hooks: readonly string[],
  { firstTokensExcluded = 1 }: DumpSequenceOptions = {},
): DumpSequences {
  const { metadata } = dump;
  const gone = Number(metadata["sae_carry.first_tokens_excluded"] ?? 0);
  const skip = Math.max(0, firstTokensExcluded - gone);
  const context = Number(metadata["sae_carry.context"] ?? 0);
  const pieces = findPieces(dump, skip, Math.max(longestPiece, context || 0));
  if (pieces.rows === 0) {
    throw new UsageError({
      code: "no-activations",
      where: dump.path,
      expected: `sequences of more than ${skip} tokens`,
      got: `${dump.rows} rows, all of them first tokens`,
    });
  }
  const { starts, lengths } = pieces;
  const widths = hooks.map((name) => dump.hook(name));
  const readers = widths.map(({ name }) => dump.rowReader(name));
  return {
    hooks: widths,
    nSeq: starts.length,
    rows: pieces.rows,
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

/** Where the pieces of a dump lie: first row and number of rows. */
interface Pieces {
  readonly starts: readonly number[];
  readonly lengths: readonly number[];
  readonly rows: number;
}

function findPieces(dump: ActivationDump, skip: number, longest: number): Pieces {
  const starts: number[] = [];
  const lengths: number[] = [];
  let row = 0;
  let since = 0; // rows of the sequence before this one
  let isOpen = false;
  let [docBefore, posBefore] = [Number.NaN, Number.NaN];
  for (const { doc, pos } of dump.keys()) {
    for (let i = 0; i < doc.length; i++, row++) {
      if (follows(docBefore, posBefore, doc[i], pos[i])) since++;
      else {
        since = 0;
        isOpen = false;
      }
      [docBefore, posBefore] = [doc[i], pos[i]];
      if (since < skip) continue;
      if (isOpen && lengths[lengths.length - 1] < longest) lengths[lengths.length - 1]++;
      else {
        starts.push(row);
        lengths.push(1);
        isOpen = true;
      }
    }
  }
  return { starts, lengths, rows: lengths.reduce((sum, length) => sum + length, 0) };
}
