/**
 * @file Plain values to columns: what `writeArrowTable` takes. Nested values are flattened into Arrow's
 * layout by their type. null, undefined and, in floats, NaN and infinities are null where the column may
 * hold nulls, and an error where it may not. Structs and fixed-size lists are never null.
 */
import { bitmap, type Column } from "./column.ts";
import type { ArrowType, DictionaryType } from "./types.ts";

/** A column of `values` under `type`; `where` names it in errors. */
export function buildColumn(
  type: ArrowType,
  values: ArrayLike<unknown>,
  nullable: boolean,
  where: string,
): Column {
  const n = values.length;
  const there = type.kind === "float" ? Number.isFinite : isThere;
  const valid = bitmap(n, (i) => there(values[i]));
  if (!nullable || type.kind === "struct" || type.kind === "fixed_list") {
    for (let i = 0; i < n; i++) {
      if (!there(values[i])) {
        throw new Error(`internal: ${where}, row ${i}: ${values[i]} where no null may be`);
      }
    }
  }
  switch (type.kind) {
    case "int":
      return { kind: "number", values: Int32Array.from(numbers(values)), valid };
    case "float": {
      const finite = valid === null ? numbers(values) : Array.from(numbers(values), finiteOrZero);
      return { kind: "number", values: Float32Array.from(finite), valid };
    }
    case "bool":
      return { kind: "number", bool: true, values: Uint8Array.from(numbers(values)), valid };
    case "string":
      return { kind: "string", values: Array.from(values, (value) => value ?? null) as string[] };
    case "dictionary":
      return { kind: "dictionary", ...codes(type, values, where), valid };
    case "list": {
      const offsets = new Int32Array(n + 1);
      const flat: unknown[] = [];
      for (let i = 0; i < n; i++) {
        const items = (values[i] ?? []) as ArrayLike<unknown>;
        for (let j = 0; j < items.length; j++) flat.push(items[j]);
        offsets[i + 1] = flat.length;
      }
      const item = buildColumn(type.item.type, flat, type.item.nullable, `${where}.item`);
      return { kind: "list", offsets, item, valid };
    }
    case "fixed_list": {
      const flat: unknown[] = [];
      for (let i = 0; i < n; i++) {
        const items = values[i] as ArrayLike<unknown>;
        if (items.length !== type.size) {
          throw new Error(`internal: ${where}, row ${i}: ${items.length} items, not ${type.size}`);
        }
        for (let j = 0; j < items.length; j++) flat.push(items[j]);
      }
      const item = buildColumn(type.item.type, flat, type.item.nullable, `${where}.item`);
      return { kind: "fixed_list", length: n, size: type.size, item, valid };
    }
    case "struct": {
      const fields = new Map<string, Column>();
      for (const { name, type: inner, nullable: mayBeNull } of type.fields) {
        const part = Array.from(values, (row) => (row as Record<string, unknown>)[name]);
        fields.set(name, buildColumn(inner, part, mayBeNull, `${where}.${name}`));
      }
      return { kind: "struct", length: n, fields, valid };
    }
  }
}

function isThere(value: unknown): boolean {
  return value !== null && value !== undefined;
}

/** Numbers with 0 in place of what is null. */
function numbers(values: ArrayLike<unknown>): ArrayLike<number> {
  if (ArrayBuffer.isView(values)) return values as unknown as Float32Array;
  return Array.from(values, (value) => Number(value ?? 0));
}

function finiteOrZero(x: number): number {
  return Number.isFinite(x) ? x : 0;
}

function codes(
  type: DictionaryType,
  strings: ArrayLike<unknown>,
  where: string,
): { indices: Int32Array; values: readonly string[] } {
  const values = type.values ?? [];
  const numbered = new Map(values.map((value, i) => [value, i]));
  const indices = Int32Array.from(strings, (text) => {
    const code = isThere(text) ? numbered.get(text as string) : 0;
    if (code === undefined) throw new Error(`internal: ${where}: ${text} is not in the dictionary`);
    return code;
  });
  return { indices, values };
}
