/**
 * @file Reads Arrow IPC, file or stream format, one batch in memory at a time, from untrusted files:
 * anything malformed is a UsageError that names the file. Own code and not apache-arrow's reader, which
 * holds the whole file in memory and trusts the lengths it finds. Compressed files are refused.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { UsageError } from "../errors.ts";
import { readProblem } from "../file-errors.ts";
import { type Column, concatColumns } from "./column.ts";
import type { FloatsPlace } from "./float-lists.ts";
import { loadBatch, loadDictionary, locateFloats, type ReadBody } from "./load.ts";
import {
  type Block,
  type DictionaryBatchHeader,
  decodeFooter,
  decodeMessage,
  type Message,
  type RecordBatchHeader,
  Unsupported,
} from "./message.ts";
import { ColumnTable } from "./table.ts";
import type { ArrowField, ArrowSchema, ArrowType, StringType } from "./types.ts";

/** One batch of rows. */
export interface ColumnBatch {
  readonly rows: number;
  readonly columns: ReadonlyMap<string, Column>;
}

/** Settings of `readArrow` and `ArrowReader.batches`. */
export interface ReadArrowOptions {
  /** Names of the columns to read; the others are skipped. Default all. */
  readonly columns?: readonly string[];
}

const magic = "ARROW1";
const metadataLimit = 64 * 2 ** 20; // bytes of one message's metadata or of the footer
/** Bytes of one column in one batch: what is read at once is in memory at once, whatever the file says of itself. */
const readLimit = 2 ** 31;

/** An open Arrow file. `close` it, or iterate `batches` to the end, which closes it too. */
export class ArrowReader {
  readonly path: string;
  readonly format: "file" | "stream";
  readonly schema: ArrowSchema;
  private readonly fd: number;
  private readonly size: number;
  /** Blocks of the dictionaries and then of the batches; undefined in a stream. */
  private readonly blocks: readonly Block[] | undefined;
  /** Where the first message after the schema begins in a stream. */
  private readonly start: number;
  private closed = false;

  constructor(path: string) {
    this.path = path;
    try {
      this.fd = openSync(path, "r");
    } catch (error) {
      throw readProblem(error, path);
    }
    try {
      this.size = fstatSync(this.fd).size;
      if (this.size === 0) throw new RangeError("an empty file");
      const isFile = this.size >= 6 && ascii(this.bytes(0, 6)) === magic;
      this.format = isFile ? "file" : "stream";
      const opened = isFile ? this.openFile() : this.openStream();
      this.schema = opened.schema;
      this.blocks = opened.blocks;
      this.start = opened.start;
    } catch (error) {
      this.close();
      throw this.problem(error);
    }
  }

  close(): void {
    if (!this.closed) closeSync(this.fd);
    this.closed = true;
  }

  /** Number of rows, from the metadata of the batches alone. Errors: UsageError too where a dictionary is missing. */
  countRows(): { rows: number; batches: number } {
    let rows = 0;
    let batches = 0;
    const dictionaries = new Set<number>();
    try {
      for (const { message } of this.messages()) {
        if (message.header.kind === "dictionary") dictionaries.add(message.header.id);
        if (message.header.kind !== "batch") continue;
        rows += message.header.length;
        batches++;
      }
      if (rows > 0) checkDictionaries(this.schema.fields, dictionaries);
    } catch (error) {
      throw this.problem(error);
    }
    return { rows, batches };
  }

  /** The batches in order. */
  *batches({ columns }: ReadArrowOptions = {}): Generator<ColumnBatch> {
    const wanted = columns === undefined ? undefined : new Set(columns);
    const dictionaries = new Map<number, readonly string[]>();
    try {
      for (const { message, body } of this.messages()) {
        const { header } = message;
        const read: ReadBody = ({ offset, length }) => this.bytes(body + offset, length);
        if (header.kind === "dictionary") this.addDictionary(header, read, dictionaries);
        else if (header.kind === "batch") {
          const loaded = this.load(header, read, dictionaries, wanted);
          yield { rows: header.length, columns: loaded };
        }
      }
    } catch (error) {
      throw this.problem(error);
    } finally {
      this.close();
    }
  }

  /** Where the numbers of the column `name`, floats in lists, lie in each batch, at bytes of the file. */
  floatPlaces(name: string): { readonly rows: number; readonly place: FloatsPlace }[] {
    const found: { rows: number; place: FloatsPlace }[] = [];
    try {
      for (const { message, body } of this.messages()) {
        if (message.header.kind !== "batch") continue;
        const place = locateFloats(this.schema.fields, message.header, name);
        const inFile = ({ offset, length }: FloatsPlace["values"]) => ({
          offset: body + offset,
          length,
        });
        const levels = place.levels.map((level) =>
          "size" in level ? level : { ...level, offsets: inFile(level.offsets) },
        );
        found.push({
          rows: message.header.length,
          place: { ...place, levels, values: inFile(place.values) },
        });
      }
    } catch (error) {
      throw this.problem(error);
    }
    return found;
  }

  /** Bytes of the file, in fresh memory. Errors: UsageError where it is shorter. */
  readBytes(offset: number, length: number): Uint8Array {
    try {
      return this.bytes(offset, length);
    } catch (error) {
      throw this.problem(error);
    }
  }

  private load(
    header: RecordBatchHeader,
    read: ReadBody,
    dictionaries: ReadonlyMap<number, readonly string[]>,
    columns: ReadonlySet<string> | undefined,
  ): Map<string, Column> {
    return loadBatch(this.schema.fields, header, { read, dictionaries, columns });
  }

  private addDictionary(
    { id, isDelta, batch }: DictionaryBatchHeader,
    read: ReadBody,
    dictionaries: Map<number, readonly string[]>,
  ): void {
    const type = dictionaryString(this.schema.fields, id);
    if (type === undefined) throw new RangeError(`dictionary ${id} that no column uses`);
    const values = loadDictionary(type, batch, read);
    dictionaries.set(id, isDelta ? [...(dictionaries.get(id) ?? []), ...values] : values);
  }

  private openFile(): { schema: ArrowSchema; blocks: Block[]; start: number } {
    const tail = this.size >= 20 ? this.bytes(this.size - 10, 10) : new Uint8Array(10);
    const length = new DataView(tail.buffer).getInt32(0, true);
    if (ascii(tail.subarray(4)) !== magic) {
      throw new RangeError("no footer: the file was not written to its end");
    }
    if (length <= 0 || length > Math.min(this.size - 18, metadataLimit)) {
      throw new RangeError(`a footer of ${length} bytes`);
    }
    const { schema, dictionaries, batches } = decodeFooter(
      this.bytes(this.size - 10 - length, length),
    );
    const blocks = [...dictionaries, ...batches];
    // Each byte belongs to one block: else a small file could stand for any number of rows.
    let total = 0;
    for (const { metadataLength, bodyLength } of blocks) total += metadataLength + bodyLength;
    if (total > this.size) throw new RangeError(`blocks of ${total} bytes in all`);
    return { schema, blocks, start: 0 };
  }

  private openStream(): { schema: ArrowSchema; blocks: undefined; start: number } {
    const first = this.messageAt(0);
    if (first?.message.header.kind !== "schema") throw new RangeError("no schema at its start");
    const { schema } = first.message.header;
    return { schema, blocks: undefined, start: first.body + first.message.bodyLength };
  }

  /** Every message after the schema, and where its body begins. */
  private *messages(): Generator<{ message: Message; body: number }> {
    if (this.blocks !== undefined) {
      for (const { offset, metadataLength, bodyLength } of this.blocks) {
        const found = this.messageAt(offset);
        if (found === undefined || found.message.bodyLength !== bodyLength) {
          throw new RangeError(`no message at byte ${offset}, where the footer names one`);
        }
        if (found.body !== offset + metadataLength) {
          throw new RangeError(`a message of ${found.body - offset} bytes at byte ${offset}`);
        }
        yield found;
      }
      return;
    }
    for (let at = this.start; ; ) {
      const found = this.messageAt(at);
      if (found === undefined) return;
      if (found.message.header.kind === "schema") throw new RangeError("a second schema");
      yield found;
      at = found.body + found.message.bodyLength;
    }
  }

  /** The message at a byte, or undefined at the end of a stream. */
  private messageAt(offset: number): { message: Message; body: number } | undefined {
    if (offset === this.size) return undefined;
    const prefix = new DataView(this.bytes(offset, 4).buffer).getInt32(0, true);
    // Before format version 0.15 the length came without the marker -1.
    const framing = prefix === -1 ? 8 : 4;
    const length =
      prefix === -1 ? new DataView(this.bytes(offset + 4, 4).buffer).getInt32(0, true) : prefix;
    if (length === 0) return undefined;
    if (length < 0 || length > metadataLimit) {
      throw new RangeError(
        offset === 0 ? "neither an Arrow file nor an Arrow stream" : `metadata of ${length} bytes`,
      );
    }
    const message = decodeMessage(this.bytes(offset + framing, length));
    const body = offset + framing + length;
    if (body + message.bodyLength > this.size) {
      throw new RangeError(`${this.size} bytes, and a batch that needs ${message.bodyLength} more`);
    }
    return { message, body };
  }

  private bytes(offset: number, length: number): Uint8Array {
    if (this.closed) throw new Error(`internal: ${this.path} is closed`);
    if (offset + length > this.size) {
      throw new RangeError(`${this.size} bytes where at least ${offset + length} are due`);
    }
    if (length > readLimit) {
      throw new Unsupported(`${length} bytes of a column in one batch`, "Write smaller batches");
    }
    const out = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const count = readSync(this.fd, out, done, Math.min(length - done, 1 << 30), offset + done);
      if (count === 0) throw new RangeError("a file that became shorter while it was read");
      done += count;
    }
    return out;
  }

  private problem(error: unknown): unknown {
    if (error instanceof Unsupported) {
      const { got, hint } = error;
      const expected = "uncompressed Arrow with numbers, strings and lists of them";
      return new UsageError({
        code: "arrow-unsupported",
        where: this.path,
        expected,
        got,
        hint,
        cause: error,
      });
    }
    // Ours, or a DataView's at the end of its bytes.
    if (error instanceof RangeError) {
      return new UsageError({
        code: "arrow-malformed",
        where: this.path,
        expected: "an Arrow IPC file or stream",
        got: error.message,
        cause: error,
      });
    }
    return readProblem(error, this.path);
  }
}

/** Reads a whole file as one table. */
export function readArrow(path: string, options: ReadArrowOptions = {}): ColumnTable {
  const reader = new ArrowReader(path);
  const batches = [...reader.batches(options)];
  const rows = batches.reduce((sum, batch) => sum + batch.rows, 0);
  const columns = new Map<string, Column>();
  for (const { name } of reader.schema.fields) {
    const parts = batches.flatMap(({ columns: c }) => c.get(name) ?? []);
    if (parts.length > 0) columns.set(name, concatColumns(parts));
  }
  return new ColumnTable(path, reader.schema, rows, columns);
}

function ascii(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function checkDictionaries(fields: readonly ArrowField[], found: ReadonlySet<number>): void {
  for (const { name, type } of fields) {
    if (type.kind === "dictionary" && !found.has(type.id)) {
      throw new RangeError(`column ${name} without its dictionary`);
    }
    if (type.kind === "struct") checkDictionaries(type.fields, found);
    if (type.kind === "list" || type.kind === "fixed_list") checkDictionaries([type.item], found);
  }
}

/** The strings' type of the dictionary with an id, wherever in the schema it is. */
function dictionaryString(fields: readonly ArrowField[], id: number): StringType | undefined {
  for (const { type } of fields) {
    const found = inType(type, id);
    if (found !== undefined) return found;
  }
  return undefined;
}

function inType(type: ArrowType, id: number): StringType | undefined {
  if (type.kind === "dictionary") return type.id === id ? type.string : undefined;
  if (type.kind === "struct") return dictionaryString(type.fields, id);
  if (type.kind === "list" || type.kind === "fixed_list") return dictionaryString([type.item], id);
  return undefined;
}
