/**
 * @file Reads rows of activations from a dump in any order. Uncompressed Arrow has the numbers of a column in one
 * piece for each batch, so a row lies at a known byte: only the rows asked for are read, however large a batch is.
 */
import { UsageError } from "../errors.ts";
import { widenFloat16 } from "../half.ts";
import { firstNonFinite } from "../host-tensor.ts";
import type { FloatsPlace } from "./load.ts";
import { ArrowReader } from "./reader.ts";

/** One batch of a file. */
interface Piece {
  readonly reader: ArrowReader;
  /** Number of its first row in the dump, and the row after its last. */
  readonly from: number;
  readonly to: number;
  /** Byte of its first number. */
  readonly start: number;
  readonly bits: FloatsPlace["bits"];
}

/** Rows of one hook, by their number in the dump. */
export class DumpRowReader {
  readonly rows: number;
  readonly width: number;
  private readonly name: string;
  private readonly readers: readonly ArrowReader[];
  private readonly pieces: readonly Piece[];

  /** Opens the files of a dump for the column `name`, `width` numbers a row. Errors: UsageError for ragged lists and nulls. */
  constructor(files: readonly string[], name: string, width: number) {
    this.name = name;
    this.width = width;
    const readers: ArrowReader[] = [];
    const pieces: Piece[] = [];
    this.readers = readers;
    this.pieces = pieces;
    let from = 0;
    try {
      for (const file of files) {
        const reader = new ArrowReader(file);
        readers.push(reader);
        for (const { rows, place } of reader.floatPlaces(name)) {
          if (rows === 0) continue;
          const first = firstNumber(reader, place, rows, width, name);
          const start = place.values.offset + (first * place.bits) / 8;
          pieces.push({ reader, from, to: from + rows, start, bits: place.bits });
          from += rows;
        }
      }
    } catch (error) {
      this.close();
      throw error;
    }
    this.rows = from;
  }

  /** Rows from … to (excluded), [rows, width]. Errors: UsageError for NaN, infinities and a file that changed. */
  read(from: number, to: number): Float32Array {
    const out = new Float32Array((to - from) * this.width);
    for (let row = from; row < to; ) {
      const piece = this.pieceOf(row);
      const end = Math.min(to, piece.to);
      out.set(this.numbers(piece, row, end), (row - from) * this.width);
      row = end;
    }
    return out;
  }

  close(): void {
    for (const reader of this.readers) reader.close();
  }

  private numbers({ reader, from, start, bits }: Piece, row: number, end: number): Float32Array {
    const each = (this.width * bits) / 8;
    const bytes = reader.readBytes(start + (row - from) * each, (end - row) * each);
    const memory = bytes.buffer as ArrayBuffer;
    const values =
      bits === 16
        ? widenFloat16(new Uint16Array(memory))
        : bits === 32
          ? new Float32Array(memory)
          : Float32Array.from(new Float64Array(memory));
    const i = firstNonFinite(values);
    if (i >= 0) {
      throw new UsageError({
        code: "dump-activations",
        where: `${reader.path}: column ${this.name}`,
        expected: "finite numbers",
        got: `${values[i]} in row ${row + Math.floor(i / this.width)}`,
      });
    }
    return values;
  }

  private pieceOf(row: number): Piece {
    let low = 0;
    let high = this.pieces.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.pieces[middle].from <= row) low = middle;
      else high = middle - 1;
    }
    return this.pieces[low];
  }
}

/** The number at which the first row begins; lists of any length are held to `width`. */
function firstNumber(
  reader: ArrowReader,
  { values, bits, offsets }: FloatsPlace,
  rows: number,
  width: number,
  name: string,
): number {
  const bad = (expected: string, got: string) =>
    new UsageError({
      code: "dump-activations",
      where: `${reader.path}: column ${name}`,
      expected,
      got,
    });
  if (offsets === null) return 0;
  const size = offsets.bits / 8;
  const need = (rows + 1) * size;
  if (offsets.range.length < need) {
    throw bad(`${need} bytes of offsets`, `${offsets.range.length}`);
  }
  const memory = reader.readBytes(offsets.range.offset, need).buffer as ArrayBuffer;
  const ends = size === 4 ? new Int32Array(memory) : new BigInt64Array(memory);
  const first = Number(ends[0]);
  for (let i = 1; i <= rows; i++) {
    const length = Number(ends[i]) - Number(ends[i - 1]);
    if (length !== width) throw bad(`${width} numbers in each row`, `${length} in row ${i - 1}`);
  }
  const held = (values.length * 8) / bits;
  if (!(first >= 0 && Number(ends[rows]) <= held)) {
    throw bad(`lists within ${held} numbers`, `${first} to ${ends[rows]}`);
  }
  return first;
}
