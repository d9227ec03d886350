/** @file Parsers and definitions of flags that several commands share. Errors are UsageErrors that name the flag. */
import { type Command, Option } from "commander";
import { UsageError } from "../src/io/errors.ts";
import { nearest } from "./suggest.ts";

/** A whole number of at least `least`; `200k`, `1.5M` and `2e5` are understood. */
export function count(flag: string, least = 1): (text: string) => number {
  return (text) => {
    const match = /^(\d+(?:\.\d+)?(?:e\d{1,2})?)([kM]?)$/i.exec(text.replace(/_/g, ""));
    const scale = { k: 1e3, m: 1e6 }[match?.[2].toLowerCase() ?? ""] ?? 1;
    const value = match ? Math.round(Number(match[1]) * scale * 1e6) / 1e6 : Number.NaN;
    if (!Number.isSafeInteger(value) || value < least) {
      throw new UsageError({
        code: "bad-flag",
        where: flag,
        expected: `a whole number of at least ${least}, such as 4096 or 200k`,
        got: text,
      });
    }
    return value;
  };
}

/** Bytes: a whole number, or one with `kB`, `MB`, `GB` (powers of 1000). */
export function byteCount(flag: string): (text: string) => number {
  return (text) => {
    const match = /^(\d+(?:\.\d+)?)\s*(k|m|g)?b?$/i.exec(text.trim());
    const scale = { k: 1e3, m: 1e6, g: 1e9 }[match?.[2]?.toLowerCase() ?? ""] ?? 1;
    const value = match ? Math.round(Number(match[1]) * scale) : Number.NaN;
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new UsageError({
        code: "bad-flag",
        where: flag,
        expected: "a number of bytes, such as 5GB or 500MB",
        got: text,
      });
    }
    return value;
  };
}

/** A finite number. */
export function real(flag: string): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (!Number.isFinite(value)) {
      throw new UsageError({ code: "bad-flag", where: flag, expected: "a number", got: text });
    }
    return value;
  };
}

/** One of `choices`. */
export function choice<T extends string>(flag: string, choices: readonly T[]): (text: string) => T {
  return (text) => {
    const found = choices.find((name) => name === text);
    if (found !== undefined) return found;
    const meant = nearest(text, choices);
    throw new UsageError({
      code: "bad-flag",
      where: flag,
      expected: `one of ${choices.join(", ")}`,
      got: text,
      hint: meant === undefined ? undefined : `did you mean ${meant}?`,
    });
  };
}

/** Collects a flag that may be given several times. */
export function each(text: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), text];
}

/** A flag to add to a command. */
export interface FlagOptions<T> {
  readonly parse?: (text: string, before: T | undefined) => T;
  /** Shown in the help. */
  readonly choices?: readonly string[];
  /** Heading in the help under which the flag stands. */
  readonly group?: string;
  /** The variable that gives the value where the flag doesn't. */
  readonly env?: string;
}

/** Adds a flag to `command`. */
export function addFlag<T>(
  command: Command,
  flags: string,
  description: string,
  { parse, choices, group, env }: FlagOptions<T> = {},
): void {
  const option = new Option(flags, description);
  if (choices) option.choices(choices);
  if (parse) option.argParser((text: string, before: T | undefined) => parse(text, before));
  if (group) option.helpGroup(group);
  if (env) option.env(env);
  command.addOption(option);
}
