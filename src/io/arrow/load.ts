/**
 * @file Turns the buffers of a record batch into columns. Nothing in the batch is believed: lengths are
 * held against buffers, offsets must rise and stay inside their items, indices inside their dictionary,
 * strings must be UTF-8. What doesn't fit throws RangeError.
 */

import { TextDecoder } from "node:util";
import { widenFloat16 } from "../half.ts";
import {
  type Column,
  type DictionaryColumn,
  isValid,
  type NumberArray,
  rowsOf,
  type StringColumn,
  type Validity,
} from "./column.ts";
import type { FloatsPlace, ListLevel } from "./float-lists.ts";
import type { BodyRange, FieldNode, RecordBatchHeader } from "./message.ts";
import type {
  ArrowField,
  ArrowType,
  DictionaryType,
  FloatType,
  IntType,
  StringType,
} from "./types.ts";

/** Copies a range of a message's body into fresh memory. */
export type ReadBody = (range: BodyRange) => Uint8Array;

export interface LoadOptions {
  readonly read: ReadBody;
  /** Values by dictionary id, as far as they were read. */
  readonly dictionaries: ReadonlyMap<number, readonly string[]>;
  /** Names of the columns to load; the others' buffers are not read. Default all. */
  readonly columns?: ReadonlySet<string>;
}

/** The columns of a batch by name. */
export function loadBatch(
  fields: readonly ArrowField[],
  header: RecordBatchHeader,
  { read, dictionaries, columns }: LoadOptions,
): Map<string, Column> {
  const out = new Map<string, Column>();
  const cursor = new Cursor(header, read, dictionaries);
  for (const { name, type } of fields) {
    const wanted = columns === undefined || columns.has(name);
    const column = cursor.load(type, header.length, name, wanted);
    if (column !== undefined) out.set(name, column);
  }
  return out;
}

/** Finds the numbers of the column `name`, floats in lists at any depth, in the body; nothing of it is read. */
export function locateFloats(
  fields: readonly ArrowField[],
  header: RecordBatchHeader,
  name: string,
): FloatsPlace {
  const read: ReadBody = () => {
    throw new Error("internal: a body is read where it is only looked through");
  };
  const cursor = new Cursor(header, read, new Map());
  for (const field of fields) {
    if (field.name === name) return cursor.floats(field.type, header.length, name);
    cursor.load(field.type, header.length, field.name, false);
  }
  throw new Error(`internal: no column ${name}`);
}

/** The values of a dictionary batch. */
export function loadDictionary(
  type: StringType,
  header: RecordBatchHeader,
  read: ReadBody,
): string[] {
  const column = new Cursor(header, read, new Map()).load(type, header.length, "dictionary", true);
  return (column as StringColumn).values.map((value) => {
    if (value === null) throw new RangeError("a dictionary with a null value");
    return value;
  });
}

/** Walks nodes and buffers in the order of the types. */
class Cursor {
  private readonly header: RecordBatchHeader;
  private readonly read: ReadBody;
  private readonly dictionaries: ReadonlyMap<number, readonly string[]>;
  private node = 0;
  private buffer = 0;
  private view = 0;

  constructor(
    header: RecordBatchHeader,
    read: ReadBody,
    dictionaries: ReadonlyMap<number, readonly string[]>,
  ) {
    this.header = header;
    this.read = read;
    this.dictionaries = dictionaries;
  }

  /** The next column; undefined when it isn't wanted. `rows` undefined: as many as it says. */
  load(type: ArrowType, rows: number | undefined, name: string, wanted: true): Column;
  load(
    type: ArrowType,
    rows: number | undefined,
    name: string,
    wanted: boolean,
  ): Column | undefined;
  load(
    type: ArrowType,
    rows: number | undefined,
    name: string,
    wanted: boolean,
  ): Column | undefined {
    const node = this.nextNode(name);
    if (rows !== undefined && node.length !== rows) {
      throw new RangeError(`column ${name} of ${node.length} rows where ${rows} are due`);
    }
    const validity = this.nextBuffer(name);
    const n = node.length;
    const valid = wanted ? this.validity(node, validity, name) : null;
    switch (type.kind) {
      case "int":
      case "float":
      case "bool": {
        const buffer = this.nextBuffer(name);
        if (!wanted) return undefined;
        if (type.kind === "bool") {
          const values = unpackBits(this.bytes(buffer, Math.ceil(n / 8), name), n);
          return { kind: "number", bool: true, values, valid };
        }
        return { kind: "number", values: this.numbers(type, buffer, n, name), valid };
      }
      case "string":
        return this.strings(type, n, valid, name, wanted);
      case "dictionary": {
        const buffer = this.nextBuffer(name);
        return wanted ? this.codes(type, buffer, n, valid, name) : undefined;
      }
      case "list": {
        const buffer = this.nextBuffer(name);
        const item = this.load(type.item.type, undefined, `${name}.item`, wanted);
        if (item === undefined) return undefined;
        const limit = rowsOf(item);
        const offsets = this.offsets(buffer, n, type.large, limit, name);
        return { kind: "list", offsets, item, valid };
      }
      case "fixed_list": {
        const item = this.load(type.item.type, n * type.size, `${name}.item`, wanted);
        if (item === undefined) return undefined;
        return { kind: "fixed_list", length: n, size: type.size, item, valid };
      }
      case "struct": {
        const fields = new Map<string, Column>();
        for (const field of type.fields) {
          const column = this.load(field.type, n, `${name}.${field.name}`, wanted);
          if (column !== undefined) fields.set(field.name, column);
        }
        return wanted ? { kind: "struct", length: n, fields, valid } : undefined;
      }
    }
  }

  /** Where the numbers of the next column lie, which is one of floats in lists. */
  floats(type: ArrowType, rows: number, name: string): FloatsPlace {
    const levels: ListLevel[] = [];
    let hasNulls = false;
    let inner = type;
    let due: number | undefined = rows;
    for (;;) {
      const node = this.nextNode(name);
      if (due !== undefined && node.length !== due) {
        throw new RangeError(`column ${name} of ${node.length} rows where ${due} are due`);
      }
      this.nextBuffer(name);
      hasNulls ||= node.nullCount !== 0;
      if (inner.kind === "float") {
        const { bits } = inner;
        const values = this.nextBuffer(name);
        if (values.length < (node.length * bits) / 8) {
          throw new RangeError(
            `${node.length} numbers in ${values.length} bytes in column ${name}`,
          );
        }
        return { levels, values, bits, hasNulls };
      }
      if (inner.kind === "fixed_list") {
        levels.push({ size: inner.size });
        due = node.length * inner.size;
      } else if (inner.kind === "list") {
        levels.push({ offsets: this.nextBuffer(name), bits: inner.large ? 64 : 32 });
        due = undefined;
      } else throw new Error(`internal: ${name} holds no lists of floats`);
      inner = inner.item.type;
    }
  }

  private nextNode(name: string): FieldNode {
    const node = this.header.nodes[this.node++];
    if (node === undefined) throw new RangeError(`a batch that ends before column ${name}`);
    return node;
  }

  private nextBuffer(name: string): BodyRange {
    const buffer = this.header.buffers[this.buffer++];
    if (buffer === undefined) throw new RangeError(`a batch that ends within column ${name}`);
    return buffer;
  }

  /** The first `need` bytes of a buffer, which may be padded. */
  private bytes(buffer: BodyRange, need: number, name: string): Uint8Array {
    if (buffer.length < need) {
      throw new RangeError(`${buffer.length} bytes for column ${name} where ${need} are due`);
    }
    return this.read({ offset: buffer.offset, length: need });
  }

  private validity(node: FieldNode, buffer: BodyRange, name: string): Validity {
    if (node.nullCount === 0) return null;
    return this.bytes(buffer, Math.ceil(node.length / 8), name);
  }

  private numbers(
    type: IntType | FloatType,
    buffer: BodyRange,
    n: number,
    name: string,
  ): NumberArray {
    const { buffer: memory } = this.bytes(buffer, (n * type.bits) / 8, name);
    const at = memory as ArrayBuffer;
    if (type.kind === "float") {
      if (type.bits === 16) return widenFloat16(new Uint16Array(at));
      return type.bits === 32 ? new Float32Array(at) : new Float64Array(at);
    }
    switch (type.bits) {
      case 8:
        return type.signed ? new Int8Array(at) : new Uint8Array(at);
      case 16:
        return type.signed ? new Int16Array(at) : new Uint16Array(at);
      case 32:
        return type.signed ? new Int32Array(at) : new Uint32Array(at);
      case 64:
        return type.signed ? new BigInt64Array(at) : new BigUint64Array(at);
    }
  }

  private codes(
    { id, index }: DictionaryType,
    buffer: BodyRange,
    n: number,
    valid: Validity,
    name: string,
  ): DictionaryColumn {
    const values = this.dictionaries.get(id);
    if (values === undefined) throw new RangeError(`column ${name} without its dictionary`);
    const stored = this.numbers(index, buffer, n, name);
    const indices = new Int32Array(n);
    for (let i = 0; i < n; i++) {
      if (!isValid(valid, i)) continue;
      const code = Number(stored[i]);
      if (!(code >= 0 && code < values.length)) {
        throw new RangeError(`entry ${code} of ${values.length} in column ${name}, row ${i}`);
      }
      indices[i] = code;
    }
    return { kind: "dictionary", indices, values, valid };
  }

  /** Offsets of n lists or strings, checked to rise from at least 0 to at most `limit`. */
  private offsets(
    buffer: BodyRange,
    n: number,
    large: boolean,
    limit: number,
    name: string,
  ): Int32Array {
    if (n === 0) return new Int32Array(1); // an empty column may leave its offsets out
    const index: IntType = { kind: "int", bits: large ? 64 : 32, signed: true };
    const stored = this.numbers(index, buffer, n + 1, name);
    const offsets = new Int32Array(n + 1);
    let last = 0;
    for (let i = 0; i <= n; i++) {
      const offset = Number(stored[i]);
      if (!(offset >= last && offset <= Math.min(limit, 2 ** 31 - 1))) {
        throw new RangeError(`offset ${offset} after ${last} in column ${name}, row ${i}`);
      }
      offsets[i] = last = offset;
    }
    return offsets;
  }

  private strings(
    type: StringType,
    n: number,
    valid: Validity,
    name: string,
    wanted: boolean,
  ): StringColumn | undefined {
    const first = this.nextBuffer(name);
    if (type.form === "utf8_view") {
      const count = this.header.variadic[this.view++] ?? 0;
      const data: BodyRange[] = [];
      for (let i = 0; i < count; i++) data.push(this.nextBuffer(name));
      return wanted ? this.stringViews(first, data, n, valid, name) : undefined;
    }
    const data = this.nextBuffer(name);
    if (!wanted) return undefined;
    const offsets = this.offsets(first, n, type.form === "large_utf8", data.length, name);
    const bytes = this.bytes(data, offsets[n], name);
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    const values: (string | null)[] = [];
    for (let i = 0; i < n; i++) {
      const text = bytes.subarray(offsets[i], offsets[i + 1]);
      values.push(isValid(valid, i) ? decode(decoder, text, name, i) : null);
    }
    return { kind: "string", values };
  }

  /** Views of 16 bytes: length, then the text itself up to 12 bytes, or prefix, buffer and offset. */
  private stringViews(
    views: BodyRange,
    ranges: readonly BodyRange[],
    n: number,
    valid: Validity,
    name: string,
  ): StringColumn {
    const bytes = this.bytes(views, 16 * n, name);
    const view = new DataView(bytes.buffer);
    const buffers = ranges.map((range) => this.read(range));
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    const values: (string | null)[] = [];
    for (let i = 0; i < n; i++) {
      if (!isValid(valid, i)) {
        values.push(null);
        continue;
      }
      const length = view.getInt32(16 * i, true);
      const inline = length <= 12;
      const source = inline ? bytes : buffers[view.getInt32(16 * i + 8, true)];
      const start = inline ? 16 * i + 4 : view.getInt32(16 * i + 12, true);
      if (source === undefined || length < 0 || start < 0 || start + length > source.length) {
        throw new RangeError(`a string outside of its buffer in column ${name}, row ${i}`);
      }
      values.push(decode(decoder, source.subarray(start, start + length), name, i));
    }
    return { kind: "string", values };
  }
}

function decode(decoder: TextDecoder, bytes: Uint8Array, name: string, row: number): string {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    throw new RangeError(`bytes that are not UTF-8 in column ${name}, row ${row}`, {
      cause: error,
    });
  }
}

function unpackBits(bits: Uint8Array, n: number): Uint8Array {
  return Uint8Array.from({ length: n }, (_, i) => (bits[i >> 3] >> (i & 7)) & 1);
}
