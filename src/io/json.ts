/**
 * @file JSON from untrusted files: RFC 8259 as JSON.parse reads it, and besides a repeated key in an
 * object is an error (two readers would keep different values), and bytes that are not UTF-8 are one.
 */
import { readFileSync, statSync } from "node:fs";
import { UsageError } from "./errors.ts";
import { readProblem } from "./file-errors.ts";

/** Parses `text`; `where` names its file in errors. */
export function parseJson(text: string, where: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UsageError({
      code: "json-malformed",
      where,
      expected: "JSON",
      got: error instanceof Error ? error.message : String(error),
      cause: error,
    });
  }
  const key = repeatedKey(text);
  if (key !== undefined) {
    throw new UsageError({
      code: "json-duplicate-key",
      where,
      expected: "each key once in an object",
      got: `the key ${JSON.stringify(key)} twice`,
    });
  }
  return value;
}

/** A JSON value in a few words, for the `got` of an error; nested values are not followed. */
export function describeJson(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) {
    const flat = value.every((item) => typeof item !== "object" || item === null);
    return flat ? JSON.stringify(value.slice(0, 20)) : "a nested list";
  }
  return typeof value === "object" && value !== null ? "an object" : JSON.stringify(value);
}

const largest = 256 * 2 ** 20; // bytes; a string holds at most 512 Mi characters

/** Reads a JSON file of at most 256 MB. */
export function readJson(path: string): unknown {
  let bytes: Uint8Array;
  try {
    const { size } = statSync(path);
    if (size > largest) {
      const got = `${size} bytes`;
      throw new UsageError({
        code: "json-too-large",
        where: path,
        expected: "JSON of at most 256 MB",
        got,
      });
    }
    bytes = readFileSync(path);
  } catch (error) {
    throw readProblem(error, path);
  }
  return parseJson(decodeUtf8(bytes, path), path);
}

/** Decodes UTF-8 strictly: a wrong byte is a UsageError, not a replacement character. */
export function decodeUtf8(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new UsageError({
      code: "not-utf8",
      where,
      expected: "text in UTF-8",
      got: "bytes that are not UTF-8",
      cause: error,
    });
  }
}

// In text that JSON.parse accepted, a string followed by a colon is a key of the innermost open object.
// A scan by hand: a regular expression runs out of stack on strings of many megabytes.
function repeatedKey(text: string): string | undefined {
  const open: Set<string>[] = [];
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === "{") open.push(new Set());
    else if (c === "}") open.pop();
    else if (c === '"') {
      const end = closingQuote(text, i);
      if (followedByColon(text, end)) {
        const key = JSON.parse(text.slice(i, end + 1)) as string; // "a" and "\u0061" are the same key
        const keys = open[open.length - 1];
        if (keys.has(key)) return key;
        keys.add(key);
      }
      i = end;
    }
  }
  return undefined;
}

function closingQuote(text: string, start: number): number {
  for (let i = start + 1; ; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === '"') return i;
  }
}

function followedByColon(text: string, end: number): boolean {
  let i = end + 1;
  while (text[i] === " " || text[i] === "\n" || text[i] === "\r" || text[i] === "\t") i++;
  return text[i] === ":";
}
