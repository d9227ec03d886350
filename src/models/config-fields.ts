/**
 * Reading the parsed JSON of a `config.json` field by field. Whatever the models here don't compute is refused by
 * name, with what was expected and what was found.
 */
import { UsageError } from "../io/index.ts";

/** Token ids as `bos_token_id` and `eos_token_id` hold them: one, several, or none. */
export type TokenIds = number | readonly number[] | null;

/** Typed access to the fields of one configuration. Errors of all methods: UsageError naming file and field. */
export interface ConfigFields {
  /** The value as it stands; undefined when absent. */
  raw(name: string): unknown;
  /** A whole number from 1 to 2^24; `fallback` where the field is absent or null. */
  size(name: string, fallback?: number): number;
  /** A positive number; `fallback` where the field is absent. */
  positive(name: string, fallback?: number): number;
  /** true or false; `fallback` where the field is absent. */
  flag(name: string, fallback: boolean): boolean;
  /** One of `known`; the first where the field is absent. */
  choice<T extends string>(name: string, known: readonly T[]): T;
  /** A field that may be absent, but if it's there must be `value`. */
  fixed(name: string, value: unknown): void;
  /** Token ids below `vocabulary`; null where the field is absent. */
  tokens(name: string, vocabulary: number): TokenIds;
  /** The fields of an object inside, or null where it is absent or null. */
  inner(name: string): ConfigFields | null;
  /** An error about a field. */
  bad(name: string, expected: string): UsageError;
}

/** The error for key heads that queries share, in a family that has none. */
export function ungrouped(
  family: string,
  { nHead, nKvHead }: { readonly nHead: number; readonly nKvHead: number },
  where: string,
): UsageError {
  return badConfig(`${where}: kv_heads`, `as many as the ${nHead} heads, for a ${family}`, nKvHead);
}

/** The fields of a JSON object; `where` names it in errors. Errors: UsageError when it is no object. */
export function configFields(json: unknown, where: string): ConfigFields {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw badConfig(where, "a JSON object", json);
  }
  const fields = json as Record<string, unknown>;
  const bad = (name: string, expected: string): UsageError =>
    badConfig(`${where}: ${name}`, expected, fields[name]);
  return {
    bad,
    raw: (name) => fields[name],
    size(name, fallback) {
      const value = fields[name] ?? fallback;
      if (typeof value !== "number" || !Number.isInteger(value) || value < 1 || value > 1 << 24) {
        throw bad(name, "a positive whole number");
      }
      return value;
    },
    positive(name, fallback) {
      const value = fields[name] ?? fallback;
      if (typeof value !== "number" || !(value > 0) || !Number.isFinite(value)) {
        throw bad(name, "a positive number");
      }
      return value;
    },
    flag(name, fallback) {
      const value = fields[name] ?? fallback;
      if (typeof value !== "boolean") throw bad(name, "true or false");
      return value;
    },
    choice(name, known) {
      const value = fields[name] ?? known[0];
      const found = known.find((option) => option === value);
      if (found === undefined) {
        const names = known.map((option) => JSON.stringify(option)).join(" or ");
        throw bad(name, `${names} (all that this version runs)`);
      }
      return found;
    },
    fixed(name, value) {
      if (fields[name] !== undefined && fields[name] !== value) {
        throw bad(name, `${JSON.stringify(value)} (all that this version runs)`);
      }
    },
    tokens(name, vocabulary) {
      const value = fields[name] ?? null;
      const isToken = (id: unknown): id is number =>
        typeof id === "number" && Number.isInteger(id) && id >= 0 && id < vocabulary;
      if (value === null || isToken(value)) return value;
      if (Array.isArray(value) && value.length > 0 && value.every(isToken)) return value;
      throw bad(name, `a token id below ${vocabulary}`);
    },
    inner(name) {
      const value = fields[name] ?? null;
      return value === null ? null : configFields(value, `${where}: ${name}`);
    },
  };
}

/** Errors: UsageError when `model_type` is none of `known`. */
export function checkModelType(
  fields: ConfigFields,
  where: string,
  known: readonly string[],
): string {
  const type = fields.raw("model_type");
  const found = known.find((name) => name === type);
  if (found !== undefined) return found;
  throw new UsageError({
    code: "unsupported-architecture",
    where: `${where}: model_type`,
    expected: `${known.map((name) => JSON.stringify(name)).join(", ")} (the families that this version runs)`,
    got: JSON.stringify(type) ?? "nothing",
  });
}

function badConfig(where: string, expected: string, got: unknown): UsageError {
  return new UsageError({
    code: "bad-model-config",
    where,
    expected,
    got: JSON.stringify(got) ?? "nothing",
  });
}
