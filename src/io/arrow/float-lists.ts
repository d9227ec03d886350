/**
 * @file Columns of floats in lists, or in lists of lists (a sequence in a row): where a batch has them in its body,
 * and that all lists of a level have one length. What the offsets say is held against what is there.
 */
import { UsageError } from "../errors.ts";
import type { ArrowReader } from "./reader.ts";
import type { ArrowType, FloatType } from "./types.ts";

/** A range of bytes. */
interface Bytes {
  readonly offset: number;
  readonly length: number;
}

/** One level of lists: of one length, or with offsets of their own. */
export type ListLevel =
  | { readonly size: number }
  | { readonly offsets: Bytes; readonly bits: 32 | 64 };

/** Where the numbers of a column of lists lie: one after the other. */
export interface FloatsPlace {
  /** The outermost first. */
  readonly levels: readonly ListLevel[];
  readonly values: Bytes;
  /** Of one number. */
  readonly bits: FloatType["bits"];
  /** Whether some list or number is null, which has no place. */
  readonly hasNulls: boolean;
}

/** How many lists are around the floats of a type; 0 where it holds anything else. */
export function floatListDepth(type: ArrowType): number {
  if (type.kind !== "list" && type.kind !== "fixed_list") return 0;
  if (type.item.type.kind === "float") return 1;
  const inner = floatListDepth(type.item.type);
  return inner === 0 ? 0 : inner + 1;
}

/** The lengths of the lists in the first row of a batch that has one, the outermost first. */
export function firstLengths(reader: ArrowReader, { levels }: FloatsPlace): number[] {
  let first = 0;
  return levels.map((level) => {
    if ("size" in level) {
      first *= level.size;
      return level.size;
    }
    const [start, end] = readOffsets(reader, level, first, 1, "");
    first = start;
    return end - start;
  });
}

/**
 * The number of the first float in `place`, whose `rows` rows are held to `lengths` (the outermost first). `where`
 * names the column. Errors: UsageError for nulls, other lengths, and lists outside of the numbers.
 */
export function firstFloat(
  reader: ArrowReader,
  { levels, values, bits, hasNulls }: FloatsPlace,
  rows: number,
  lengths: readonly number[],
  where: string,
): number {
  if (hasNulls) throw bad(where, "no nulls", "nulls");
  let first = 0;
  let lists = rows;
  for (const [i, level] of levels.entries()) {
    const length = lengths[i];
    if ("size" in level) {
      if (level.size !== length) throw wrongLength(where, length, level.size, 0);
      first *= length;
    } else {
      const ends = readOffsets(reader, level, first, lists, where);
      for (let j = 1; j <= lists; j++) {
        const got = ends[j] - ends[j - 1];
        if (got !== length) throw wrongLength(where, length, got, j - 1);
      }
      first = ends[0];
    }
    lists *= length;
  }
  const held = Math.floor((values.length * 8) / bits);
  if (!(first >= 0 && first + lists <= held)) {
    throw bad(where, `lists within ${held} numbers`, `${first} to ${first + lists}`);
  }
  return first;
}

/** The `count` + 1 offsets from number `first` on. */
function readOffsets(
  reader: ArrowReader,
  { offsets, bits }: { readonly offsets: Bytes; readonly bits: 32 | 64 },
  first: number,
  count: number,
  where: string,
): Int32Array | Float64Array {
  const size = bits / 8;
  const need = (first + count + 1) * size;
  if (!(first >= 0 && need <= offsets.length)) {
    throw bad(where || reader.path, `${need} bytes of offsets`, `${offsets.length}`);
  }
  const at = offsets.offset + first * size;
  const memory = reader.readBytes(at, (count + 1) * size).buffer as ArrayBuffer;
  return bits === 32
    ? new Int32Array(memory)
    : Float64Array.from(new BigInt64Array(memory), Number);
}

function wrongLength(where: string, expected: number, got: number, list: number): UsageError {
  return bad(where, `${expected} numbers in each row`, `${got} in row ${list}`);
}

function bad(where: string, expected: string, got: string): UsageError {
  return new UsageError({ code: "dump-activations", where, expected, got });
}
