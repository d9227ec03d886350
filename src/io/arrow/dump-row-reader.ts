/**
 * @file Reads rows of activations from a dump in any order. Uncompressed Arrow has the numbers of a column in one
 * piece for each batch, so a row lies at a known byte: only the rows asked for are read, however large a batch is.
 */
import { UsageError } from "../errors.ts";
import { widenFloat16 } from "../half.ts";
import { firstNonFinite } from "../host-tensor.ts";
import { type FloatsPlace, firstFloat } from "./float-lists.ts";
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

  /**
   * Opens the files of a dump for the column `name`. `lengths` are those of its lists, the outermost first: [width],
   * or [context, width] where a row of the file is a sequence. Errors: UsageError for ragged lists and nulls.
   */
  constructor(files: readonly string[], name: string, lengths: readonly number[]) {
    this.name = name;
    this.width = lengths[lengths.length - 1];
    const perRow = lengths.slice(0, -1).reduce((product, length) => product * length, 1);
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
          const where = `${reader.path}: column ${name}`;
          const first = firstFloat(reader, place, rows, lengths, where);
          const start = place.values.offset + (first * place.bits) / 8;
          const to = from + rows * perRow;
          pieces.push({ reader, from, to, start, bits: place.bits });
          from = to;
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
