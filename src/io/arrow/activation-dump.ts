/**
 * @file Activation dumps of ours and of other programs, read one batch at a time. A row is a token, with `doc`, `pos`,
 * lists of floats of one length (the hooks) and, in ours, codes of SAEs; or a row is a sequence, as SAELens caches
 * activations: lists of lists of floats, and `token_ids`. Then sequences are numbered as documents.
 */
import { statSync } from "node:fs";
import { UsageError } from "../errors.ts";
import { firstNonFinite } from "../host-tensor.ts";
import { type Column, type NumberColumn, rowsOf } from "./column.ts";
import { DumpRowReader } from "./dump-row-reader.ts";
import { firstFloat, firstLengths, floatListDepth } from "./float-lists.ts";
import { ArrowReader, type ColumnBatch } from "./reader.ts";
import { savedDatasetFiles } from "./saved-dataset.ts";
import { shardFiles } from "./sharded-writer.ts";
import { toInt32 } from "./table.ts";
import { type ArrowField, typeName } from "./types.ts";

/** A hook and the width of its activations. */
export interface DumpHook {
  readonly name: string;
  readonly width: number;
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

/** The tokens of some rows. */
type DumpKeys = Pick<DumpBatch, "doc" | "pos" | "tokenId">;

/** Longer contexts are not believed: sequences are read whole. */
const longestContext = 2 ** 20;

/** A dump opened for reading; nothing but metadata is in memory. */
export class ActivationDump {
  readonly path: string;
  readonly hooks: readonly DumpHook[];
  readonly saes: readonly string[];
  /** Tokens. */
  readonly rows: number;
  /** Tokens in each sequence, as far as the dump tells; 0 where it doesn't. */
  readonly context: number;
  /** Schema metadata, of the first shard. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The file, or its shards. */
  readonly files: readonly string[];
  /** Whether a row of the files is a sequence of `context` tokens. */
  private readonly isBySequence: boolean;
  /** The column of token ids; null where there is none. */
  private readonly tokens: string | null;

  /**
   * Opens `path` (a file, or the name of its shards), or the folder of a dataset that was saved to disk. A UsageError
   * where a column is missing or has another type.
   */
  constructor(path: string) {
    this.path = path;
    this.files = isFolder(path) ? savedDatasetFiles(path) : shardFiles(path);
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
    const { fields, metadata } = (first as ArrowReader).schema;
    this.metadata = metadata;
    const isThere = (name: string): boolean => fields.some((field) => field.name === name);
    this.isBySequence =
      !isThere("doc") && !isThere("pos") && fields.some(({ type }) => floatListDepth(type) === 2);
    if (this.isBySequence) {
      const found = fields.flatMap((field) => this.hookOf(field, 2));
      this.context = found[0]?.lengths[0] ?? 0;
      const odd = found.find(({ lengths }) => lengths[0] !== this.context);
      if (odd !== undefined) {
        const expected = `sequences of ${this.context} tokens, as in column ${found[0].name}`;
        throw notAsDue(`${path}: column ${odd.name}`, expected, `${odd.lengths[0]}`);
      }
      this.hooks = found.map(({ name, width }) => ({ name, width }));
      this.rows = rows * this.context;
      this.tokens = fields.some(isTokenLists) ? "token_ids" : null;
      this.saes = [];
      return;
    }
    for (const name of ["doc", "pos"]) requireIntegers(path, fields, name);
    this.hooks = fields
      .flatMap((field) => this.hookOf(field, 1))
      .map(({ name, width }) => ({ name, width }));
    this.rows = rows;
    const context = Number(metadata["sae_carry.context"] ?? 0);
    this.context = context > 0 && context <= longestContext ? Math.floor(context) : 0;
    this.tokens = fields.some(({ name, type }) => name === "token_id" && type.kind === "int")
      ? "token_id"
      : null;
    this.saes = fields.filter(isCodes).map(({ name }) => name.slice("sae/".length));
  }

  /**
   * Reads the rows in order, batch by batch, with the activations of the named hooks only (default all).
   * Token ids are −1 where the file has none. NaN, infinities, nulls and ragged lists are a UsageError.
   */
  *batches(hooks: readonly string[] = this.hooks.map(({ name }) => name)): Generator<DumpBatch> {
    const wanted = hooks.map((name) => this.hook(name));
    const codes = this.saes.map((name) => `sae/${name}`);
    for (const { file, batch, keys } of this.keyed([...hooks, ...codes])) {
      yield { ...keys, ...this.valuesOf(file, batch, wanted) };
    }
  }

  /** The columns that say which token a row belongs to, batch by batch; token ids are −1 where the file has none. */
  *keys(): Generator<DumpKeys> {
    for (const { keys } of this.keyed([])) yield keys;
  }

  /** Rows of a hook's activations in any order, read from the disk as they are asked for. To be closed. */
  rowReader(name: string): DumpRowReader {
    return new DumpRowReader(this.files, name, this.lengths(this.hook(name)));
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

  /** The batches of all files with the columns asked for, and the tokens that their rows belong to. */
  private *keyed(
    columns: readonly string[],
  ): Generator<{ file: string; batch: ColumnBatch; keys: DumpKeys }> {
    const own = this.isBySequence ? [] : ["doc", "pos"];
    const tokens = this.tokens === null ? [] : [this.tokens];
    // Where no column is read for the tokens, the number of rows is only what the file says of itself.
    if (this.isBySequence && this.tokens === null && this.hooks.length > 0) {
      this.rowReader(this.hooks[0].name).close();
    }
    let sequences = 0;
    for (const file of this.files) {
      for (const batch of new ArrowReader(file).batches({
        columns: [...own, ...tokens, ...columns],
      })) {
        yield { file, batch, keys: this.keysOf(file, batch, sequences) };
        sequences += batch.rows;
      }
    }
  }

  /** `sequences` were in the batches before. */
  private keysOf(file: string, { rows, columns }: ColumnBatch, sequences: number): DumpKeys {
    const integers = (name: string, lengths: readonly number[] = []): Int32Array => {
      const where = `${file}: column ${name}`;
      return toInt32(flatNumbers(columns.get(name) as Column, lengths, where), where);
    };
    if (!this.isBySequence) {
      return {
        doc: integers("doc"),
        pos: integers("pos"),
        tokenId: this.tokens === null ? new Int32Array(rows).fill(-1) : integers(this.tokens),
      };
    }
    const { context } = this;
    const length = rows * context;
    return {
      doc: Int32Array.from({ length }, (_, i) => sequences + Math.floor(i / context)),
      pos: Int32Array.from({ length }, (_, i) => i % context),
      tokenId:
        this.tokens === null ? new Int32Array(length).fill(-1) : integers(this.tokens, [context]),
    };
  }

  private valuesOf(
    file: string,
    { columns }: ColumnBatch,
    hooks: readonly DumpHook[],
  ): Pick<DumpBatch, "activations" | "latents"> {
    const activations = new Map<string, Float32Array>();
    for (const hook of hooks) {
      const column = columns.get(hook.name) as Column;
      const where = `${file}: column ${hook.name}`;
      activations.set(hook.name, flatActivations(column, this.lengths(hook), where));
    }
    const latents = new Map<string, DumpCodes>();
    for (const name of this.saes) {
      latents.set(name, flatCodes(columns.get(`sae/${name}`) as Column, `${file}: sae/${name}`));
    }
    return { activations, latents };
  }

  /** The lengths of a hook's lists, the outermost first. */
  private lengths({ width }: DumpHook): readonly number[] {
    return this.isBySequence ? [this.context, width] : [width];
  }

  /** The hook that a column of floats in `depth` lists is; its first row tells the lengths, and readers hold the others to them. */
  private hookOf(
    { name, type }: ArrowField,
    depth: number,
  ): (DumpHook & { readonly lengths: readonly number[] })[] {
    if (floatListDepth(type) !== depth) return [];
    for (const file of this.files) {
      const reader = new ArrowReader(file);
      try {
        const place = reader.floatPlaces(name).find(({ rows }) => rows > 0)?.place;
        if (place === undefined) continue;
        const lengths = firstLengths(reader, place);
        if (lengths.includes(0)) return [];
        firstFloat(reader, place, 1, lengths, `${file}: column ${name}`);
        const width = lengths[depth - 1];
        return [{ name, width, lengths }];
      } finally {
        reader.close();
      }
    }
    return depth === 1 && type.kind === "fixed_list"
      ? [{ name, width: type.size, lengths: [type.size] }]
      : [];
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
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

function isTokenLists({ name, type }: ArrowField): boolean {
  const isList = type.kind === "list" || type.kind === "fixed_list";
  return name === "token_ids" && isList && type.item.type.kind === "int";
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
    hint: "Without doc and pos a row is a sequence: lists of lists of floats, as SAELens caches activations",
  });
}

/** The floats of lists that have the lengths given, the outermost first, and are all there. [rows · their product] */
function flatActivations(column: Column, lengths: readonly number[], where: string): Float32Array {
  const { values: numbers } = flatNumbers(column, lengths, where);
  const values =
    numbers instanceof Float32Array ? numbers : Float32Array.from(numbers as Float64Array);
  const i = firstNonFinite(values);
  if (i < 0) return values;
  const row = Math.floor(i / lengths[lengths.length - 1]);
  throw notAsDue(where, "finite numbers", `${values[i]} in row ${row}`);
}

/** The numbers in lists of the lengths given, end to end; no length: the numbers of the column itself. */
function flatNumbers(column: Column, lengths: readonly number[], where: string): NumberColumn {
  let inner = column;
  let first = 0;
  let rows = rowsOf(column);
  for (const length of lengths) {
    if (inner.kind !== "fixed_list" && inner.kind !== "list") {
      throw notAsDue(where, "lists of numbers", inner.kind);
    }
    if (inner.valid !== null) throw notAsDue(where, "no nulls", "nulls");
    if (inner.kind === "fixed_list") {
      if (inner.size !== length) {
        throw notAsDue(where, `${length} numbers in each row`, `${inner.size}`);
      }
      first *= length;
    } else {
      const { offsets } = inner;
      for (let i = 0; i < rows; i++) {
        const got = offsets[first + i + 1] - offsets[first + i];
        if (got !== length) {
          throw notAsDue(where, `${length} numbers in each row`, `${got} in row ${i}`);
        }
      }
      first = offsets[first];
    }
    rows *= length;
    inner = inner.item;
  }
  if (inner.kind !== "number") throw notAsDue(where, "numbers", inner.kind);
  if (lengths.length === 0) return inner;
  if (inner.valid !== null) throw notAsDue(where, "no nulls", "nulls");
  return { ...inner, values: inner.values.subarray(first, first + rows) };
}

function notAsDue(where: string, expected: string, got: string): UsageError {
  return new UsageError({ code: "dump-activations", where, expected, got });
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
