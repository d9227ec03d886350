/**
 * @file Writes Arrow IPC with bounded memory and atomically. The encoder is apache-arrow's; its own sinks
 * keep the whole file in memory (they have no backpressure), so its bytes go straight to the disk.
 * Dictionary ids are numbered in the schema's order, not by the library's global counter: same rows, same
 * batches, same bytes. The library is loaded at the first write (0.1 s).
 */
import { createRequire } from "node:module";
import type { Data, DataType, Field, RecordBatchWriter, Schema } from "apache-arrow";
import { AtomicSink } from "../atomic-file.ts";
import { narrowFloat16 } from "../half.ts";
import { bitmap, type Column, rowsOf, type Validity } from "./column.ts";
import type { ArrowField, ArrowSchema, ArrowType } from "./types.ts";

export interface ArrowWriterOptions {
  /** `file` has a footer and random access; `stream` is what Hugging Face `datasets` maps. Default file. */
  readonly format?: "file" | "stream";
}

type Arrow = typeof import("apache-arrow");

let loaded: Arrow | undefined;

function library(): Arrow {
  loaded ??= createRequire(import.meta.url)("apache-arrow") as Arrow;
  return loaded;
}

/** Writes batches of columns under one schema; the file appears at `commit`. */
export class ArrowFileWriter {
  readonly sink: AtomicSink;
  private readonly fields: readonly ArrowField[];
  private readonly schema: Schema;
  private readonly writer: RecordBatchWriter;
  private readonly dictionaries = new Map<string, Data>();
  private sealed = false;
  private written = 0;

  constructor(
    path: string,
    { fields, metadata }: ArrowSchema,
    { format = "file" }: ArrowWriterOptions = {},
  ) {
    const arrow = library();
    const ids = { next: 0 };
    this.fields = fields;
    this.schema = new arrow.Schema(
      fields.map((field) => this.toField(field, field.name, ids)),
      sortedMap(metadata),
    );
    this.sink = new AtomicSink(path);
    const make = format === "file" ? arrow.RecordBatchFileWriter : arrow.RecordBatchStreamWriter;
    this.writer = new make({ autoDestroy: false });
    // A protected member, and the only way to a sink that writes at once.
    Object.assign(this.writer, {
      _sink: { write: (bytes: Uint8Array) => this.sink.write(bytes), close() {}, abort() {} },
    });
    this.guarded(() => this.writer.reset(undefined, this.schema)); // a file without batches is a file too
  }

  /** Bytes written so far. */
  get bytes(): number {
    return this.sink.bytes;
  }

  /** Batches written so far. */
  get batches(): number {
    return this.written;
  }

  /** Writes one batch: columns in the order of the fields, all of the same length. */
  write(columns: readonly Column[]): void {
    const rows = columns.length === 0 ? 0 : rowsOf(columns[0]);
    if (columns.length !== this.fields.length || columns.some((c) => rowsOf(c) !== rows)) {
      throw new Error(`internal: ${this.sink.path}: a batch that doesn't match its schema`);
    }
    const arrow = library();
    this.guarded(() => {
      const children = this.schema.fields.map((field, i) =>
        this.toData(field.type, columns[i], this.fields[i].name),
      );
      const type = new arrow.Struct(this.schema.fields);
      const data = arrow.makeData({ type, length: rows, nullCount: 0, children });
      this.writer.write(new arrow.RecordBatch(this.schema, data));
    });
    this.written++;
  }

  /** Writes the footer and flushes; the file has its temporary name until `commit`. */
  seal(): void {
    this.guarded(() => this.writer.close());
    this.sink.seal();
    this.sealed = true;
  }

  /** Finishes the file (unless sealed) and gives it its name. */
  commit(path?: string): void {
    if (!this.sealed) this.seal();
    this.sink.commit(path);
  }

  /** Gives up and removes the temporary file. */
  abort(): void {
    this.sink.abort();
  }

  private guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.abort();
      throw error;
    }
  }

  private toField(field: ArrowField, path: string, ids: { next: number }): Field {
    const type = this.toType(field.type, path, ids);
    const metadata = field.metadata === undefined ? undefined : sortedMap(field.metadata);
    return new (library().Field)(field.name, type, field.nullable, metadata);
  }

  private toType(type: ArrowType, path: string, ids: { next: number }): DataType {
    const arrow = library();
    switch (type.kind) {
      case "int":
        if (type.bits === 32 && type.signed) return new arrow.Int32();
        break;
      case "float":
        if (type.bits === 16) return new arrow.Float16();
        if (type.bits === 32) return new arrow.Float32();
        break;
      case "bool":
        return new arrow.Bool();
      case "string":
        if (type.form === "utf8") return new arrow.Utf8();
        break;
      case "dictionary": {
        const dictionary = new arrow.Dictionary(new arrow.Utf8(), new arrow.Int32(), ids.next++);
        const values = { kind: "string", values: type.values ?? [] } as const;
        this.dictionaries.set(path, this.toData(dictionary.dictionary, values, path));
        return dictionary;
      }
      case "list":
        if (type.large) break;
        return new arrow.List(this.toField(type.item, `${path}.item`, ids));
      case "fixed_list":
        return new arrow.FixedSizeList(type.size, this.toField(type.item, `${path}.item`, ids));
      case "struct":
        return new arrow.Struct(
          type.fields.map((field) => this.toField(field, `${path}.${field.name}`, ids)),
        );
    }
    throw new Error(`internal: ${path}: this type is read but not written`);
  }

  /** Wraps a column without copying its numbers. */
  private toData(type: DataType, column: Column, path: string): Data {
    const arrow = library();
    const length = rowsOf(column);
    switch (column.kind) {
      case "number": {
        const half = arrow.DataType.isFloat(type) && type.precision === arrow.Precision.HALF;
        const data = half
          ? narrowFloat16(column.values as Float32Array)
          : column.bool
            ? packBits(column.values as Uint8Array)
            : column.values;
        return arrow.makeData({ type, length, ...nulls(column.valid), data } as never);
      }
      case "string": {
        const { valueOffsets, data, valid } = encodeStrings(column.values);
        return arrow.makeData({ type, length, ...nulls(valid), valueOffsets, data } as never);
      }
      case "dictionary": {
        const dictionary = new arrow.Vector([this.dictionaries.get(path) as Data]);
        const { indices: data, valid } = column;
        return arrow.makeData({ type, length, ...nulls(valid), data, dictionary } as never);
      }
      case "list": {
        const child = this.toData(type.children[0].type, column.item, `${path}.item`);
        const { offsets: valueOffsets, valid } = column;
        return arrow.makeData({ type, length, ...nulls(valid), valueOffsets, child } as never);
      }
      case "fixed_list": {
        const child = this.toData(type.children[0].type, column.item, `${path}.item`);
        return arrow.makeData({ type, length, ...nulls(column.valid), child } as never);
      }
      case "struct": {
        const children = type.children.map(({ name, type: inner }) =>
          this.toData(inner, column.fields.get(name) as Column, `${path}.${name}`),
        );
        return arrow.makeData({ type, length, ...nulls(column.valid), children } as never);
      }
    }
  }
}

/** nullCount −1 has the library count the bitmap. */
function nulls(valid: Validity): { nullCount: number; nullBitmap?: Uint8Array } {
  return valid === null ? { nullCount: 0 } : { nullCount: -1, nullBitmap: valid };
}

function packBits(values: Uint8Array): Uint8Array {
  const bits = new Uint8Array(Math.ceil(values.length / 8));
  for (let i = 0; i < values.length; i++) bits[i >> 3] |= values[i] << (i & 7);
  return bits;
}

function encodeStrings(values: readonly (string | null)[]): {
  valueOffsets: Int32Array;
  data: Uint8Array;
  valid: Validity;
} {
  const encoder = new TextEncoder();
  const valueOffsets = new Int32Array(values.length + 1);
  const parts: Uint8Array[] = [];
  let at = 0;
  for (let i = 0; i < values.length; i++) {
    const text = encoder.encode(values[i] ?? "");
    parts.push(text);
    at += text.length;
    valueOffsets[i + 1] = at;
  }
  const data = new Uint8Array(at);
  for (let i = 0; i < parts.length; i++) data.set(parts[i], valueOffsets[i]);
  return { valueOffsets, data, valid: bitmap(values.length, (i) => values[i] !== null) };
}

function sortedMap(record: Readonly<Record<string, string>>): Map<string, string> {
  return new Map(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}
