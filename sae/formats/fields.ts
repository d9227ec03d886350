/** @file Typed access to the fields of an untrusted `cfg.json`. */
import { UsageError } from "../../src/io/index.ts";

/** An untrusted JSON object whose fields are asked for with their types. */
export class Fields {
  readonly #record: Readonly<Record<string, unknown>>;
  readonly #where: string;
  readonly #hint: string;

  /** `where` names the object in errors, `hint` says what to do about a field that can't be honoured. */
  constructor(value: unknown, where: string, hint: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new UsageError({
        code: "sae-cfg",
        where,
        expected: "a JSON object",
        got: JSON.stringify(value) ?? "nothing",
      });
    }
    this.#record = value as Record<string, unknown>;
    this.#where = where;
    this.#hint = hint;
  }

  fail(field: string, expected: string, got: unknown): never {
    throw new UsageError({
      code: "sae-cfg",
      where: `${this.#where}: ${field}`,
      expected,
      got: JSON.stringify(got) ?? "nothing",
      hint: this.#hint,
    });
  }

  value(field: string): unknown {
    return Object.hasOwn(this.#record, field) ? this.#record[field] : undefined;
  }

  number(field: string): number {
    const value = this.value(field);
    return typeof value === "number" ? value : this.fail(field, "a number", value);
  }

  string(field: string): string {
    const value = this.value(field);
    return typeof value === "string" ? value : this.fail(field, "a string", value);
  }

  optionalNumber(field: string): number | undefined {
    return this.value(field) == null ? undefined : this.number(field);
  }

  optionalString(field: string): string | undefined {
    return this.value(field) == null ? undefined : this.string(field);
  }

  oneOf<T extends string | boolean>(field: string, allowed: readonly T[]): T {
    const value = this.value(field);
    const found = allowed.find((candidate) => candidate === value);
    return found ?? this.fail(field, allowed.map((a) => JSON.stringify(a)).join(" or "), value);
  }

  object(field: string): Fields {
    return new Fields(this.value(field), `${this.#where}: ${field}`, this.#hint);
  }

  numbers(field: string): number[] {
    const value = this.value(field);
    return Array.isArray(value) && value.every((item) => typeof item === "number")
      ? value
      : this.fail(field, "a list of numbers", value);
  }

  optionalObject(field: string): Fields | undefined {
    return this.value(field) == null ? undefined : this.object(field);
  }
}
