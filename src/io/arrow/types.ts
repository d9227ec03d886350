/**
 * @file The part of the Arrow type system that goes in and out: numbers, bools, strings, dictionaries of
 * strings, lists, fixed-size lists, structs. `int32`, `list(…)` and the like build types for writing;
 * the reader makes the rest (other widths, large lists, string views) from foreign files.
 */

export interface IntType {
  readonly kind: "int";
  readonly bits: 8 | 16 | 32 | 64;
  readonly signed: boolean;
}

export interface FloatType {
  readonly kind: "float";
  readonly bits: 16 | 32 | 64;
}

export interface BoolType {
  readonly kind: "bool";
}

/** UTF-8 strings, with 32-bit offsets, 64-bit offsets or as views. */
export interface StringType {
  readonly kind: "string";
  readonly form: "utf8" | "large_utf8" | "utf8_view";
}

/** Strings stored once and pointed at. `values` is known to a writer; a file keeps them in batches of their own. */
export interface DictionaryType {
  readonly kind: "dictionary";
  readonly index: IntType;
  readonly string: StringType;
  readonly id: number;
  readonly values?: readonly string[];
}

export interface ListType {
  readonly kind: "list";
  readonly large: boolean;
  readonly item: ArrowField;
}

export interface FixedListType {
  readonly kind: "fixed_list";
  readonly size: number;
  readonly item: ArrowField;
}

export interface StructType {
  readonly kind: "struct";
  readonly fields: readonly ArrowField[];
}

/** The type of a column, or of what a list or struct holds. */
export type ArrowType =
  | IntType
  | FloatType
  | BoolType
  | StringType
  | DictionaryType
  | ListType
  | FixedListType
  | StructType;

/** A named column. */
export interface ArrowField {
  readonly name: string;
  readonly type: ArrowType;
  readonly nullable: boolean;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** The columns of a file, in order, and its metadata. */
export interface ArrowSchema {
  readonly fields: readonly ArrowField[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** Signed 32-bit integers. */
export const int32: IntType = { kind: "int", bits: 32, signed: true };
/** 32-bit floats. */
export const float32: FloatType = { kind: "float", bits: 32 };
/** 16-bit floats. */
export const float16: FloatType = { kind: "float", bits: 16 };
/** UTF-8 strings with 32-bit offsets. */
export const utf8: StringType = { kind: "string", form: "utf8" };

/** Strings out of a fixed set, stored as int32. */
export function dictionary(values: readonly string[]): DictionaryType {
  return { kind: "dictionary", index: int32, string: utf8, id: 0, values };
}

/** Lists of any length whose items are never null. */
export function list(item: ArrowType): ListType {
  return { kind: "list", large: false, item: { name: "item", type: item, nullable: false } };
}

/** Lists of `size` items that are never null: a matrix, one row per list. */
export function fixedList(item: ArrowType, size: number): FixedListType {
  return { kind: "fixed_list", size, item: { name: "item", type: item, nullable: false } };
}

/** Records; no field is ever null. */
export function struct(fields: Readonly<Record<string, ArrowType>>): StructType {
  return {
    kind: "struct",
    fields: Object.entries(fields).map(([name, type]) => ({ name, type, nullable: false })),
  };
}

/** How a type reads in messages and in `inspect`, e.g. `fixed_size_list<float>[64]`, as pyarrow names it. */
export function typeName(type: ArrowType): string {
  switch (type.kind) {
    case "int":
      return `${type.signed ? "" : "u"}int${type.bits}`;
    case "float":
      return { 16: "halffloat", 32: "float", 64: "double" }[type.bits];
    case "bool":
      return "bool";
    case "string":
      return { utf8: "string", large_utf8: "large_string", utf8_view: "string_view" }[type.form];
    case "dictionary":
      return `dictionary<values=${typeName(type.string)}, indices=${typeName(type.index)}>`;
    case "list":
      return `${type.large ? "large_" : ""}list<${typeName(type.item.type)}>`;
    case "fixed_list":
      return `fixed_size_list<${typeName(type.item.type)}>[${type.size}]`;
    case "struct":
      return `struct<${type.fields.map((f) => `${f.name}: ${typeName(f.type)}`).join(", ")}>`;
  }
}
