/**
 * @file Decodes Arrow's IPC metadata: footers, schemas, record and dictionary batches. Sizes are checked
 * here against the body they describe; types that we don't read are named in the error.
 * Source: format/{File,Message,Schema}.fbs of Apache Arrow, format version 1.0.
 */
import { FlatTable } from "./flatbuffer.ts";
import type { ArrowField, ArrowSchema, ArrowType, IntType, StringType } from "./types.ts";

/** Where a message lies in a file: bytes of framing and metadata, then bytes of body. */
export interface Block {
  readonly offset: number;
  readonly metadataLength: number;
  readonly bodyLength: number;
}

export interface Footer {
  readonly schema: ArrowSchema;
  readonly dictionaries: readonly Block[];
  readonly batches: readonly Block[];
}

/** Rows and nulls of one column or child. */
export interface FieldNode {
  readonly length: number;
  readonly nullCount: number;
}

/** A range of the body. */
export interface BodyRange {
  readonly offset: number;
  readonly length: number;
}

export interface RecordBatchHeader {
  readonly kind: "batch";
  readonly length: number;
  readonly nodes: readonly FieldNode[];
  readonly buffers: readonly BodyRange[];
  /** Data buffers of each string-view column. */
  readonly variadic: readonly number[];
}

export interface DictionaryBatchHeader {
  readonly kind: "dictionary";
  readonly id: number;
  readonly isDelta: boolean;
  readonly batch: RecordBatchHeader;
}

export interface SchemaHeader {
  readonly kind: "schema";
  readonly schema: ArrowSchema;
}

export interface Message {
  readonly header: SchemaHeader | DictionaryBatchHeader | RecordBatchHeader;
  readonly bodyLength: number;
}

/** What the file holds is sound but outside of what we read; `got` names it. */
export class Unsupported extends Error {
  readonly got: string;
  readonly hint: string;

  constructor(got: string, hint: string) {
    super(got);
    this.got = got;
    this.hint = hint;
  }
}

const deepest = 16; // levels of nested types

/** Decodes the footer of a file. */
export function decodeFooter(bytes: Uint8Array): Footer {
  const footer = FlatTable.root(bytes);
  const schema = footer.table(1);
  if (schema === undefined) throw new RangeError("a footer without a schema");
  return {
    schema: decodeSchema(schema),
    dictionaries: blocks(footer, 2),
    batches: blocks(footer, 3),
  };
}

/** Decodes the metadata of a message. */
export function decodeMessage(bytes: Uint8Array): Message {
  const message = FlatTable.root(bytes);
  const kind = message.uint8(1);
  const header = message.table(2);
  const bodyLength = message.int64(3);
  if (header === undefined || bodyLength < 0) throw new RangeError("a message without a header");
  if (kind === 1) return { header: { kind: "schema", schema: decodeSchema(header) }, bodyLength };
  if (kind === 3) return { header: decodeBatch(header, bodyLength), bodyLength };
  if (kind !== 2) throw new Unsupported(`a message of kind ${kind}`, "Only tables are read");
  const batch = header.table(1);
  if (batch === undefined) throw new RangeError("a dictionary without values");
  return {
    header: {
      kind: "dictionary",
      id: header.int64(0),
      isDelta: header.bool(2),
      batch: decodeBatch(batch, bodyLength),
    },
    bodyLength,
  };
}

function blocks(footer: FlatTable, slot: number): Block[] {
  const { at, count } = footer.structs(slot, 24);
  return Array.from({ length: count }, (_, i) => {
    const start = at + 24 * i;
    const block = {
      offset: footer.int64At(start),
      metadataLength: footer.int32At(start + 8),
      bodyLength: footer.int64At(start + 16),
    };
    if (block.offset < 0 || block.metadataLength < 8 || block.bodyLength < 0) {
      throw new RangeError(`a block at byte ${block.offset} of ${block.bodyLength} bytes`);
    }
    return block;
  });
}

function decodeBatch(batch: FlatTable, bodyLength: number): RecordBatchHeader {
  if (batch.table(3) !== undefined) {
    throw new Unsupported("compressed data", "Write the file without compression");
  }
  const length = batch.int64(0);
  if (length < 0) throw new RangeError(`a batch of ${length} rows`);
  const nodes = pairs(batch, 1).map(([rows, nullCount]) => {
    if (rows < 0 || nullCount < 0 || nullCount > rows) {
      throw new RangeError(`a column of ${rows} rows, ${nullCount} of them null`);
    }
    return { length: rows, nullCount };
  });
  const buffers = pairs(batch, 2).map(([offset, size]) => {
    if (offset < 0 || size < 0 || offset + size > bodyLength) {
      throw new RangeError(`a buffer at ${offset} of ${size} bytes in a body of ${bodyLength}`);
    }
    return { offset, length: size };
  });
  const total = buffers.reduce((sum, buffer) => sum + buffer.length, 0);
  if (total > bodyLength) throw new RangeError(`buffers of ${total} bytes in ${bodyLength}`);
  const { at, count } = batch.structs(4, 8);
  const variadic = Array.from({ length: count }, (_, i) => batch.int64At(at + 8 * i));
  return { kind: "batch", length, nodes, buffers, variadic };
}

function pairs(batch: FlatTable, slot: number): [number, number][] {
  const { at, count } = batch.structs(slot, 16);
  return Array.from({ length: count }, (_, i) => [
    batch.int64At(at + 16 * i),
    batch.int64At(at + 16 * i + 8),
  ]);
}

function decodeSchema(schema: FlatTable): ArrowSchema {
  if (schema.int16(0) !== 0) throw new Unsupported("big-endian data", "Write it little-endian");
  const fields = schema.tables(1).map((field) => decodeField(field, 0));
  return { fields: distinct(fields), metadata: keyValues(schema, 2) };
}

function distinct(fields: readonly ArrowField[]): readonly ArrowField[] {
  const names = new Set<string>();
  for (const { name } of fields) {
    if (names.has(name)) throw new RangeError(`two columns named ${name}`);
    names.add(name);
  }
  return fields;
}

function decodeField(field: FlatTable, depth: number): ArrowField {
  if (depth > deepest) throw new RangeError(`types nested more than ${deepest} deep`);
  const name = field.string(0);
  const children = field.tables(5).map((child) => decodeField(child, depth + 1));
  const plain = decodeType(name, field.uint8(2), field.table(3), children);
  const encoding = field.table(4);
  return {
    name,
    nullable: field.bool(1),
    type: encoding === undefined ? plain : decodeDictionary(name, encoding, plain),
    metadata: keyValues(field, 6),
  };
}

function decodeDictionary(name: string, encoding: FlatTable, plain: ArrowType): ArrowType {
  if (plain.kind !== "string") {
    throw unreadable(name, `a dictionary of type ${plain.kind}`);
  }
  const index = encoding.table(1);
  return {
    kind: "dictionary",
    id: encoding.int64(0),
    index: index === undefined ? { kind: "int", bits: 32, signed: true } : decodeInt(index),
    string: plain,
  };
}

function decodeType(
  name: string,
  kind: number,
  type: FlatTable | undefined,
  children: readonly ArrowField[],
): ArrowType {
  if (type === undefined) throw new RangeError(`column ${name} without a type`);
  const string = (form: StringType["form"]): ArrowType => ({ kind: "string", form });
  switch (kind) {
    case 2:
      return decodeInt(type);
    case 3: {
      const bits = ([16, 32, 64] as const)[type.int16(0)];
      if (bits === undefined) throw new RangeError(`column ${name} with a float of unknown width`);
      return { kind: "float", bits };
    }
    case 5:
      return string("utf8");
    case 6:
      return { kind: "bool" };
    case 12:
    case 21:
      return { kind: "list", large: kind === 21, item: onlyChild(name, children) };
    case 13:
      if (children.length === 0) throw new RangeError(`struct ${name} without fields`);
      return { kind: "struct", fields: distinct(children) };
    case 16: {
      const size = type.int32(0);
      if (size < 1) throw new RangeError(`column ${name} with lists of ${size}`);
      return { kind: "fixed_list", size, item: onlyChild(name, children) };
    }
    case 20:
      return string("large_utf8");
    case 24:
      return string("utf8_view");
    default:
      throw unreadable(name, otherTypes.get(kind) ?? `type number ${kind}`);
  }
}

const otherTypes = new Map([
  [1, "null"],
  [4, "binary"],
  [7, "decimal"],
  [8, "date"],
  [9, "time"],
  [10, "timestamp"],
  [11, "interval"],
  [14, "union"],
  [15, "fixed_size_binary"],
  [17, "map"],
  [18, "duration"],
  [19, "large_binary"],
  [22, "run_end_encoded"],
  [23, "binary_view"],
  [25, "list_view"],
  [26, "large_list_view"],
]);

function unreadable(column: string, type: string): Unsupported {
  return new Unsupported(
    `column ${column} of type ${type}`,
    "Drop the column or cast it to numbers, strings or lists of them",
  );
}

function decodeInt(type: FlatTable): IntType {
  const bits = type.int32(0);
  if (bits !== 8 && bits !== 16 && bits !== 32 && bits !== 64) {
    throw new RangeError(`an integer of ${bits} bits`);
  }
  return { kind: "int", bits, signed: type.bool(1) };
}

function onlyChild(name: string, children: readonly ArrowField[]): ArrowField {
  if (children.length !== 1) throw new RangeError(`list ${name} of ${children.length} types`);
  return children[0];
}

function keyValues(table: FlatTable, slot: number): Record<string, string> {
  return Object.fromEntries(table.tables(slot).map((pair) => [pair.string(0), pair.string(1)]));
}
