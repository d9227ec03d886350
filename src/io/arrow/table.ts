/**
 * @file A table read from an Arrow file. The accessors check what a column is and name the file and the
 * column when it is missing or of another kind.
 */
import { UsageError } from "../errors.ts";
import { type Column, isValid, type NumberColumn, valueAt } from "./column.ts";
import { type ArrowField, type ArrowSchema, typeName } from "./types.ts";

/** A whole file's columns, with accessors that check their kind. */
export class ColumnTable {
  /** The file, for errors. */
  readonly path: string;
  readonly schema: ArrowSchema;
  readonly rows: number;
  readonly columns: ReadonlyMap<string, Column>;

  constructor(
    path: string,
    schema: ArrowSchema,
    rows: number,
    columns: ReadonlyMap<string, Column>,
  ) {
    this.path = path;
    this.schema = schema;
    this.rows = rows;
    this.columns = columns;
  }

  get metadata(): Readonly<Record<string, string>> {
    return this.schema.metadata;
  }

  has(name: string): boolean {
    return this.schema.fields.some((field) => field.name === name);
  }

  /** Integers of any width as int32. A null is `ifNull`; without it, a UsageError, as is what doesn't fit. */
  int32(name: string, ifNull?: number): Int32Array {
    const column = this.numbers(name, "integers");
    return toInt32(column, `${this.path}: column ${name}`, ifNull);
  }

  /** Numbers as float32, null as NaN. */
  float32(name: string): Float32Array {
    const column = this.numbers(name, "numbers");
    const { values, valid } = column;
    if (values instanceof Float32Array && valid === null) return values;
    return Float32Array.from({ length: this.rows }, (_, i) =>
      isValid(valid, i) ? Number(values[i]) : Number.NaN,
    );
  }

  /** Strings, from a plain or a dictionary column. */
  strings(name: string): (string | null)[] {
    const column = this.get(name, "strings");
    if (column.kind !== "string" && column.kind !== "dictionary") {
      throw this.wrong(name, "strings");
    }
    return Array.from({ length: this.rows }, (_, i) => valueAt(column, i) as string | null);
  }

  /** One cell as a plain value: number, string, boolean, bigint, null, array, object. */
  value(name: string, row: number): unknown {
    return valueAt(this.get(name, "values"), row);
  }

  /** A column in Arrow's layout; `expected` says what the caller needs, for the error where it is missing. */
  get(name: string, expected: string): Column {
    const column = this.columns.get(name);
    if (column !== undefined) return column;
    if (this.has(name)) return emptyOf(this.field(name));
    const names = this.schema.fields.map((field) => field.name);
    throw new UsageError({
      code: "arrow-column-missing",
      where: this.path,
      expected: `a column ${name} of ${expected}`,
      got: names.length === 0 ? "no columns" : `the columns ${names.join(", ")}`,
    });
  }

  private numbers(name: string, expected: string): NumberColumn {
    const column = this.get(name, expected);
    if (column.kind !== "number") throw this.wrong(name, expected);
    return column;
  }

  private field(name: string): ArrowField {
    return this.schema.fields.find((field) => field.name === name) as ArrowField;
  }

  private wrong(name: string, expected: string): UsageError {
    return new UsageError({
      code: "arrow-column-type",
      where: `${this.path}: column ${name}`,
      expected,
      got: typeName(this.field(name).type),
    });
  }
}

/** Integers as int32; see `ColumnTable.int32`. */
export function toInt32(
  { values, valid }: NumberColumn,
  where: string,
  ifNull?: number,
): Int32Array {
  if (values instanceof Int32Array && valid === null) return values;
  return Int32Array.from({ length: values.length }, (_, i) => {
    const value = isValid(valid, i) ? Number(values[i]) : ifNull;
    if (value === undefined || value !== (value | 0)) {
      throw new UsageError({
        code: "arrow-not-int32",
        where,
        expected: "integers of 32 bits",
        got: `${isValid(valid, i) ? values[i] : null} in row ${i}`,
      });
    }
    return value;
  });
}

/** A column of no rows, for a file without batches. */
function emptyOf({ type }: ArrowField): Column {
  switch (type.kind) {
    case "int":
      return { kind: "number", values: new Int32Array(0), valid: null };
    case "float":
      return { kind: "number", values: new Float32Array(0), valid: null };
    case "bool":
      return { kind: "number", bool: true, values: new Uint8Array(0), valid: null };
    case "string":
      return { kind: "string", values: [] };
    case "dictionary":
      return { kind: "dictionary", indices: new Int32Array(0), values: [], valid: null };
    case "list":
      return {
        kind: "list",
        offsets: new Int32Array(1),
        item: emptyOf(type.item),
        valid: null,
      };
    case "fixed_list": {
      const { size, item } = type;
      return { kind: "fixed_list", length: 0, size, item: emptyOf(item), valid: null };
    }
    case "struct": {
      const fields = new Map(type.fields.map((field) => [field.name, emptyOf(field)]));
      return { kind: "struct", length: 0, fields, valid: null };
    }
  }
}
