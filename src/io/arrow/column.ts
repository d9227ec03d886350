/**
 * @file Columns in memory, as the reader returns them and the writer takes them: Arrow's own layout in
 * flat arrays, with strings decoded. `valid` is Arrow's bitmap (bit i set: row i is there), null when all are.
 */

export type NumberArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array;

export type Validity = Uint8Array | null;

/** Numbers; float16 is widened to float32, bools are 0 and 1 with `bool` set. */
export interface NumberColumn {
  readonly kind: "number";
  readonly bool?: boolean;
  readonly values: NumberArray;
  readonly valid: Validity;
}

export interface StringColumn {
  readonly kind: "string";
  /** null where the row is null. */
  readonly values: readonly (string | null)[];
}

export interface DictionaryColumn {
  readonly kind: "dictionary";
  readonly indices: Int32Array;
  readonly values: readonly string[];
  readonly valid: Validity;
}

/** Row i holds items offsets[i] … offsets[i + 1] of `item`. */
export interface ListColumn {
  readonly kind: "list";
  readonly offsets: Int32Array; // [rows + 1]
  readonly item: Column;
  readonly valid: Validity;
}

/** Row i holds items i·size … (i + 1)·size of `item`. */
export interface FixedListColumn {
  readonly kind: "fixed_list";
  readonly length: number;
  readonly size: number;
  readonly item: Column;
  readonly valid: Validity;
}

export interface StructColumn {
  readonly kind: "struct";
  readonly length: number;
  readonly fields: ReadonlyMap<string, Column>;
  readonly valid: Validity;
}

/** A column's values as typed arrays, of any kind that Arrow files here have. */
export type Column =
  | NumberColumn
  | StringColumn
  | DictionaryColumn
  | ListColumn
  | FixedListColumn
  | StructColumn;

/** Number of rows. */
export function rowsOf(column: Column): number {
  switch (column.kind) {
    case "number":
    case "string":
      return column.values.length;
    case "dictionary":
      return column.indices.length;
    case "list":
      return column.offsets.length - 1;
    default:
      return column.length;
  }
}

/** Whether row i is there. */
export function isValid(valid: Validity, i: number): boolean {
  return valid === null || (valid[i >> 3] & (1 << (i & 7))) !== 0;
}

/** The bitmap of `rows` answers; null when all are true. */
export function bitmap(rows: number, isThere: (i: number) => boolean): Validity {
  const bits = new Uint8Array(Math.ceil(rows / 8));
  let count = 0;
  for (let i = 0; i < rows; i++) {
    if (isThere(i)) {
      bits[i >> 3] |= 1 << (i & 7);
      count++;
    }
  }
  return count === rows ? null : bits;
}

/** Row i as a plain value: number, bigint, boolean, string, null, array or object. */
export function valueAt(column: Column, i: number): unknown {
  if (column.kind === "string") return column.values[i];
  if (!isValid(column.valid, i)) return null;
  switch (column.kind) {
    case "number":
      return column.bool ? column.values[i] === 1 : column.values[i];
    case "dictionary":
      return column.values[column.indices[i]];
    case "list":
      return valuesOf(column.item, column.offsets[i], column.offsets[i + 1]);
    case "fixed_list":
      return valuesOf(column.item, i * column.size, (i + 1) * column.size);
    case "struct":
      return Object.fromEntries([...column.fields].map(([name, c]) => [name, valueAt(c, i)]));
  }
}

function valuesOf(column: Column, start: number, end: number): unknown[] {
  return Array.from({ length: end - start }, (_, j) => valueAt(column, start + j));
}

/** Rows start … end of a column, sharing memory where the bitmap allows it. */
export function sliceColumn(column: Column, start: number, end: number): Column {
  if (column.kind === "string") {
    return { kind: "string", values: column.values.slice(start, end) };
  }
  const { valid: all } = column;
  const valid = all === null ? null : bitmap(end - start, (i) => isValid(all, start + i));
  switch (column.kind) {
    case "number":
      return { ...column, values: column.values.subarray(start, end), valid };
    case "dictionary":
      return { ...column, indices: column.indices.subarray(start, end), valid };
    case "list": {
      const first = column.offsets[start];
      const offsets = column.offsets.slice(start, end + 1).map((offset) => offset - first);
      const item = sliceColumn(column.item, first, column.offsets[end]);
      return { kind: "list", offsets, item, valid };
    }
    case "fixed_list": {
      const item = sliceColumn(column.item, start * column.size, end * column.size);
      return { ...column, length: end - start, item, valid };
    }
    case "struct": {
      const fields = new Map([...column.fields].map(([n, c]) => [n, sliceColumn(c, start, end)]));
      return { kind: "struct", length: end - start, fields, valid };
    }
  }
}

/** Columns of one type, one after the other. */
export function concatColumns(columns: readonly Column[]): Column {
  const [first] = columns;
  if (columns.length === 1) return first;
  if (first.kind === "string") {
    return { kind: "string", values: columns.flatMap((c) => (c as StringColumn).values) };
  }
  const valid = concatValidity(columns);
  switch (first.kind) {
    case "number": {
      const values = concatNumbers((columns as NumberColumn[]).map((c) => c.values));
      return { ...first, values, valid };
    }
    case "dictionary":
      return concatDictionaries(columns as DictionaryColumn[], valid);
    case "list": {
      const lists = columns as ListColumn[];
      const rows = lists.reduce((sum, c) => sum + rowsOf(c), 0);
      const offsets = new Int32Array(rows + 1);
      let at = 0;
      let base = 0;
      for (const c of lists) {
        for (let i = 1; i < c.offsets.length; i++) offsets[at + i] = base + c.offsets[i];
        at += c.offsets.length - 1;
        base += rowsOf(c.item);
      }
      return { kind: "list", offsets, item: concatColumns(lists.map((c) => c.item)), valid };
    }
    case "fixed_list": {
      const lists = columns as FixedListColumn[];
      const length = lists.reduce((sum, c) => sum + c.length, 0);
      return { ...first, length, item: concatColumns(lists.map((c) => c.item)), valid };
    }
    case "struct": {
      const structs = columns as StructColumn[];
      const length = structs.reduce((sum, c) => sum + c.length, 0);
      const join = (name: string) =>
        concatColumns(structs.map((c) => c.fields.get(name) as Column));
      const fields = new Map([...first.fields.keys()].map((name) => [name, join(name)]));
      return { kind: "struct", length, fields, valid };
    }
  }
}

function concatValidity(columns: readonly Column[]): Validity {
  const parts = columns.map((c) => ({ rows: rowsOf(c), valid: "valid" in c ? c.valid : null }));
  if (parts.every(({ valid }) => valid === null)) return null;
  const there = parts.flatMap(({ rows, valid }) =>
    Array.from({ length: rows }, (_, i) => isValid(valid, i)),
  );
  return bitmap(there.length, (i) => there[i]);
}

function concatNumbers(parts: readonly NumberArray[]): NumberArray {
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  const make = parts[0].constructor as new (length: number) => Float64Array;
  const out = new make(total);
  let at = 0;
  for (const part of parts) {
    out.set(part as Float64Array, at);
    at += part.length;
  }
  return out;
}

/** A stream may replace a dictionary between batches, so indices are renumbered over all values met. */
function concatDictionaries(columns: readonly DictionaryColumn[], valid: Validity): Column {
  const indices = concatNumbers(columns.map((c) => c.indices)) as Int32Array;
  const [{ values: shared }] = columns;
  if (columns.every((c) => c.values === shared)) {
    return { kind: "dictionary", indices, values: shared, valid };
  }
  const numbers = new Map<string, number>();
  let at = 0;
  for (const { indices: own, values } of columns) {
    const renumbered = values.map((value) => {
      if (!numbers.has(value)) numbers.set(value, numbers.size);
      return numbers.get(value) as number;
    });
    for (let i = 0; i < own.length; i++) indices[at + i] = renumbered[own[i]] ?? 0;
    at += own.length;
  }
  return { kind: "dictionary", indices, values: [...numbers.keys()], valid };
}
