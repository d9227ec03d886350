/**
 * @file Activation dumps: one row per token with `doc`, `pos`, `token_id`, `token`, a fixed-size list per
 * hook and, optionally, the sparse codes of SAEs as `sae/<name>`. Written and read one batch at a time.
 * Other programs' files are read too, when they have `doc`, `pos` and lists of floats of one length.
 */
import { RunError, UsageError } from "../errors.ts";
import { firstNonFinite } from "../host-tensor.ts";
import { type Column, type NumberColumn, rowsOf } from "./column.ts";
import { DumpRowReader } from "./dump-row-reader.ts";
import { ArrowReader, type ColumnBatch } from "./reader.ts";
import { ShardedArrowWriter, type ShardOptions, shardFiles } from "./sharded-writer.ts";
import { toInt32 } from "./table.ts";
import {
  type ArrowField,
  dictionary,
  fixedList,
  float16,
  float32,
  int32,
  list,
  struct,
  typeName,
} from "./types.ts";
import { batchRows } from "./write-table.ts";

const maxFloat32 = (2 - 2 ** -23) * 2 ** 127;

/** A hook and the width of its activations. */
export interface DumpHook {
  readonly name: string;
  readonly width: number;
}

/** What a dump holds. */
export interface DumpSpec {
  readonly hooks: readonly DumpHook[];
  /** Names of SAEs whose codes go along. Default none. */
  readonly saes?: readonly string[];
  /** One printable string per token id. */
  readonly vocab: readonly string[];
  /** Stored under `sae_carry.<key>`: model hash, corpus, seed… */
  readonly metadata: Readonly<Record<string, string>>;
  /** Default float32; DuckDB doesn't read float16. */
  readonly dtype?: "float32" | "float16";
}

/** Sparse codes in rows (CSR): row i holds entries rowStart[i] … rowStart[i + 1]. */
export interface DumpCodes {
  readonly rowStart: Int32Array;
  readonly latent: Int32Array;
  readonly value: Float32Array;
}

/** n tokens. */
export interface DumpBatch {
  readonly doc: Int32Array; // [n]
  readonly pos: Int32Array; // [n]
  readonly tokenId: Int32Array; // [n]
  readonly activations: ReadonlyMap<string, Float32Array>; // by hook, [n, width]
  readonly latents?: ReadonlyMap<string, DumpCodes>; // by SAE
}

/**
 * Writes a dump and returns the paths of its files: `path`, or its shards. Nothing has its name before
 * all is written. A non-finite activation, or one too large for float16, is a RunError.
 */
export async function writeActivationDump(
  path: string,
  spec: DumpSpec,
  batches: Iterable<DumpBatch> | AsyncIterable<DumpBatch>,
  options: ShardOptions = {},
): Promise<string[]> {
  const { hooks, saes = [], vocab, metadata, dtype = "float32" } = spec;
  const notNull = (name: string, type: ArrowField["type"]) => ({ name, type, nullable: false });
  const fields = [
    notNull("doc", int32),
    notNull("pos", int32),
    notNull("token_id", int32),
    notNull("token", dictionary(vocab)),
    ...hooks.map(({ name, width }) =>
      notNull(name, fixedList(dtype === "float16" ? float16 : float32, width)),
    ),
    ...saes.map((name) => notNull(`sae/${name}`, list(struct({ latent: int32, value: float32 })))),
  ];
  const named = Object.entries({ format_version: "1", dtype, ...metadata });
  const schema = {
    fields,
    metadata: Object.fromEntries(named.map(([key, value]) => [`sae_carry.${key}`, value])),
  };
  const writer = new ShardedArrowWriter(path, schema, options);
  try {
    for await (const batch of batches) {
      const rows = batch.doc.length;
      for (let start = 0; start < rows; start += batchRows) {
        writer.write(columnsOf(path, spec, batch, start, Math.min(start + batchRows, rows)));
      }
    }
  } catch (error) {
    writer.abort();
    throw error;
  }
  return writer.commit();
}

/** Rows start … end of a batch as columns that share its memory. */
function columnsOf(
  path: string,
  { hooks, saes = [], vocab, dtype }: DumpSpec,
  batch: DumpBatch,
  start: number,
  end: number,
): Column[] {
  const length = end - start;
  const number = (values: Int32Array | Float32Array): NumberColumn => {
    return { kind: "number", values, valid: null };
  };
  const tokens = batch.tokenId.subarray(start, end);
  const wrong = tokens.findIndex((id) => id < 0 || id >= vocab.length);
  if (wrong >= 0 || batch.pos.length !== batch.doc.length || tokens.length !== length) {
    throw new Error(`internal: ${path}: token ${tokens[wrong]} of ${vocab.length}, or uneven rows`);
  }
  const columns: Column[] = [
    number(batch.doc.subarray(start, end)),
    number(batch.pos.subarray(start, end)),
    number(tokens),
    { kind: "dictionary", indices: tokens, values: vocab, valid: null },
  ];
  for (const { name, width } of hooks) {
    const all = batch.activations.get(name);
    if (all?.length !== width * batch.doc.length) {
      throw new Error(`internal: ${path}: ${all?.length} activations at ${name}, width ${width}`);
    }
    const values = all.subarray(start * width, end * width);
    checkStorable(
      values,
      `${path}: column ${name}`,
      dtype === "float16" ? 65504 : Number.MAX_VALUE,
    );
    columns.push({ kind: "fixed_list", length, size: width, item: number(values), valid: null });
  }
  for (const name of saes) {
    const codes = batch.latents?.get(name);
    if (codes?.rowStart.length !== batch.doc.length + 1) {
      throw new Error(`internal: ${path}: no codes of ${name} for each row`);
    }
    const first = codes.rowStart[start];
    const last = codes.rowStart[end];
    const fields = new Map<string, Column>([
      ["latent", number(codes.latent.subarray(first, last))],
      ["value", number(codes.value.subarray(first, last))],
    ]);
    columns.push({
      kind: "list",
      offsets: codes.rowStart.slice(start, end + 1).map((offset) => offset - first),
      item: { kind: "struct", length: last - first, fields, valid: null },
      valid: null,
    });
  }
  return columns;
}

function checkStorable(values: Float32Array, where: string, largest: number): void {
  if (!anyBeyond(values, largest)) return;
  const wrong = values.find((value) => !(Math.abs(value) <= largest)) as number;
  throw new RunError({
    code: "non-finite",
    where,
    expected: `numbers up to ${largest}`,
    got: String(wrong),
    hint: Number.isFinite(wrong) ? "Dump as float32" : "The dump was not written",
  });
}

/**
 * Whether some |value| is larger than `largest`, or NaN. Without their sign floats are ordered as their bits
 * are, infinities and NaN on top: a difference of integers turns negative, and no number is branched on,
 * which takes a quarter of the time.
 */
function anyBeyond(values: Float32Array, largest: number): boolean {
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  const limit = new Int32Array(Float32Array.of(Math.min(largest, maxFloat32)).buffer)[0];
  let differences = 0;
  for (let i = 0; i < bits.length; i++) differences |= limit - (bits[i] & 0x7fffffff);
  return differences < 0;
}

/** A dump opened for reading; nothing but metadata is in memory. */
export class ActivationDump {
  readonly path: string;
  readonly hooks: readonly DumpHook[];
  readonly saes: readonly string[];
  readonly rows: number;
  /** Schema metadata, of the first shard. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The file, or its shards. */
  readonly files: readonly string[];
  private readonly hasTokens: boolean;

  /** Opens `path` or its shards. A UsageError where a column is missing or has another type. */
  constructor(path: string) {
    this.path = path;
    this.files = shardFiles(path);
    let rows = 0;
    let first: ArrowReader | undefined;
    for (const file of this.files) {
      const reader = new ArrowReader(file);
      try {
        rows += reader.countRows().rows;
      } finally {
        reader.close();
      }
      first ??= reader;
      checkSameColumns(first, reader);
    }
    this.rows = rows;
    const { schema } = first as ArrowReader;
    this.metadata = schema.metadata;
    for (const name of ["doc", "pos"]) requireIntegers(path, schema.fields, name);
    this.hasTokens = schema.fields.some(({ name, type }) => name === "token_id" && isInt(type));
    this.hooks = schema.fields.flatMap((field) => this.hookOf(field));
    this.saes = schema.fields.filter(isCodes).map(({ name }) => name.slice("sae/".length));
  }

  /**
   * Reads the rows in order, batch by batch, with the activations of the named hooks only (default all).
   * Token ids are −1 where the file has none. NaN, infinities, nulls and ragged lists are a UsageError.
   */
  *batches(hooks: readonly string[] = this.hooks.map(({ name }) => name)): Generator<DumpBatch> {
    const wanted = hooks.map((name) => this.hook(name));
    const codes = this.saes.map((name) => `sae/${name}`);
    const tokens = this.hasTokens ? ["token_id"] : [];
    const columns = ["doc", "pos", ...tokens, ...hooks, ...codes];
    for (const file of this.files) {
      for (const batch of new ArrowReader(file).batches({ columns })) {
        yield this.toBatch(file, batch, wanted);
      }
    }
  }

  /** The columns that say which token a row belongs to, batch by batch; token ids are −1 where the file has none. */
  *keys(): Generator<Pick<DumpBatch, "doc" | "pos" | "tokenId">> {
    const columns = ["doc", "pos", ...(this.hasTokens ? ["token_id"] : [])];
    for (const file of this.files) {
      for (const batch of new ArrowReader(file).batches({ columns })) {
        yield this.keysOf(file, batch);
      }
    }
  }

  /** Rows of a hook's activations in any order, read from the disk as they are asked for. To be closed. */
  rowReader(name: string): DumpRowReader {
    const { width } = this.hook(name);
    return new DumpRowReader(this.files, name, width);
  }

  /** The hook of that name; a UsageError that lists what there is otherwise. */
  hook(name: string): DumpHook {
    const found = this.hooks.find((hook) => hook.name === name);
    if (found !== undefined) return found;
    throw new UsageError({
      code: "dump-hook",
      where: this.path,
      expected: `a column ${name} of activations`,
      got: `activations of ${this.hooks.map((hook) => hook.name).join(", ") || "no hook"}`,
    });
  }

  private toBatch(
    file: string,
    { rows, columns }: ColumnBatch,
    hooks: readonly DumpHook[],
  ): DumpBatch {
    const activations = new Map<string, Float32Array>();
    for (const { name, width } of hooks) {
      const column = columns.get(name) as Column;
      activations.set(name, flatActivations(column, width, `${file}: column ${name}`));
    }
    const latents = new Map<string, DumpCodes>();
    for (const name of this.saes) {
      latents.set(name, flatCodes(columns.get(`sae/${name}`) as Column, `${file}: sae/${name}`));
    }
    return { ...this.keysOf(file, { rows, columns }), activations, latents };
  }

  private keysOf(
    file: string,
    { rows, columns }: ColumnBatch,
  ): Pick<DumpBatch, "doc" | "pos" | "tokenId"> {
    const integers = (name: string) =>
      toInt32(columns.get(name) as NumberColumn, `${file}: column ${name}`);
    return {
      doc: integers("doc"),
      pos: integers("pos"),
      tokenId: this.hasTokens ? integers("token_id") : new Int32Array(rows).fill(-1),
    };
  }

  private hookOf({ name, type }: ArrowField): DumpHook[] {
    if (type.kind === "fixed_list" && type.item.type.kind === "float" && type.size > 0) {
      return [{ name, width: type.size }];
    }
    if (type.kind !== "list" || type.item.type.kind !== "float") return [];
    // Lists of any length: their first row tells the width, and `flatActivations` holds the others to it.
    for (const file of this.files) {
      for (const { columns } of new ArrowReader(file).batches({ columns: [name] })) {
        const column = columns.get(name);
        if (column?.kind === "list" && rowsOf(column) > 0) {
          const width = column.offsets[1] - column.offsets[0];
          return width > 0 ? [{ name, width }] : [];
        }
      }
    }
    return [];
  }
}

function checkSameColumns(first: ArrowReader, other: ArrowReader): void {
  const describe = ({ schema }: ArrowReader) =>
    schema.fields.map(({ name, type }) => `${name}: ${typeName(type)}`).join(", ");
  if (describe(first) === describe(other)) return;
  throw new UsageError({
    code: "dump-shards",
    where: other.path,
    expected: `the columns of ${first.path}`,
    got: describe(other),
  });
}

function isInt(type: ArrowField["type"]): boolean {
  return type.kind === "int";
}

function isCodes({ name, type }: ArrowField): boolean {
  if (!name.startsWith("sae/") || type.kind !== "list" || type.item.type.kind !== "struct") {
    return false;
  }
  const names = type.item.type.fields.map((field) => `${field.name}: ${typeName(field.type)}`);
  return names.join() === "latent: int32,value: float";
}

function requireIntegers(path: string, fields: readonly ArrowField[], name: string): void {
  const field = fields.find((f) => f.name === name);
  if (field?.type.kind === "int") return;
  const names = fields.map((f) => f.name).join(", ");
  throw new UsageError({
    code: "dump-column",
    where: path,
    expected: `an integer column ${name}`,
    got: field === undefined ? `the columns ${names}` : typeName(field.type),
  });
}

/** The numbers of lists that are all `width` long and all there, as float32. [rows · width] */
function flatActivations(column: Column, width: number, where: string): Float32Array {
  const bad = (expected: string, got: string) =>
    new UsageError({ code: "dump-activations", where, expected, got });
  if ((column.kind !== "fixed_list" && column.kind !== "list") || column.item.kind !== "number") {
    throw bad("lists of floats", column.kind);
  }
  if (column.valid !== null || column.item.valid !== null) throw bad("no nulls", "nulls");
  const rows = rowsOf(column);
  let first = 0;
  if (column.kind === "list") {
    first = column.offsets[0];
    for (let i = 0; i < rows; i++) {
      const length = column.offsets[i + 1] - column.offsets[i];
      if (length !== width) throw bad(`${width} numbers in each row`, `${length} in row ${i}`);
    }
  }
  const numbers = column.item.values.subarray(first, first + rows * width);
  const values =
    numbers instanceof Float32Array ? numbers : Float32Array.from(numbers as Float64Array);
  const i = firstNonFinite(values);
  if (i >= 0) throw bad("finite numbers", `${values[i]} in row ${Math.floor(i / width)}`);
  return values;
}

function flatCodes(column: Column, where: string): DumpCodes {
  const item = column.kind === "list" ? column.item : undefined;
  const latent = item?.kind === "struct" ? item.fields.get("latent") : undefined;
  const value = item?.kind === "struct" ? item.fields.get("value") : undefined;
  if (
    column.kind !== "list" ||
    latent?.kind !== "number" ||
    value?.kind !== "number" ||
    [column, item, latent, value].some((c) => c !== undefined && "valid" in c && c.valid !== null)
  ) {
    throw new UsageError({
      code: "dump-codes",
      where,
      expected: "codes without nulls",
      got: "nulls",
    });
  }
  return {
    rowStart: column.offsets,
    latent: latent.values as Int32Array,
    value: value.values as Float32Array,
  };
}
