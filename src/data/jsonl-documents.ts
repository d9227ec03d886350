/**
 * The documents of a JSONL file: an object a line, its text under one field. Other fields that are
 * strings, numbers or booleans become the document's labels. Blank lines are passed over; anything else
 * that is not such an object is an error with its line number.
 */
import { basename } from "node:path";
import { parseJson, UsageError } from "../io/index.ts";
import type { Document } from "./corpus.ts";
import { readUtf8 } from "./utf8-file.ts";

const longestLine = 2 ** 26; // UTF-16 units

/** One document for each line of the file `path` whose `field` is not blank. */
export async function* jsonlDocuments(path: string, field: string): AsyncGenerator<Document> {
  let number = 0;
  for await (const line of readLines(path)) {
    number++;
    if (line.trim() === "") continue;
    const document = parseLine(line, path, number, field);
    if (document.text.trim() !== "") yield document;
  }
}

async function* readLines(path: string): AsyncGenerator<string> {
  let rest = "";
  let number = 1;
  for await (const block of readUtf8(path)) {
    let start = 0;
    for (let end = block.indexOf("\n"); end >= 0; end = block.indexOf("\n", start)) {
      yield rest + block.slice(start, end);
      number++;
      rest = "";
      start = end + 1;
    }
    rest += block.slice(start);
    if (rest.length > longestLine) {
      throw new UsageError({
        code: "jsonl-line",
        where: `${path}: line ${number}`,
        expected: `a line of at most ${longestLine} characters`,
        got: "a longer one",
        hint: "JSONL has one JSON object a line; for plain text name the file .txt",
      });
    }
  }
  if (rest !== "") yield rest;
}

function parseLine(line: string, path: string, number: number, field: string): Document {
  const where = `${path}: line ${number}`;
  const fail = (expected: string, got: string, hint?: string): never => {
    throw new UsageError({ code: "jsonl-line", where, expected, got, hint });
  };
  const value = parseJson(line, where);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return fail("a JSON object", line.slice(0, 60));
  }
  const fields = Object.entries(value);
  const text: unknown = fields.find(([key]) => key === field)?.[1];
  if (typeof text !== "string") {
    const strings = fields.filter(([, v]) => typeof v === "string").map(([key]) => key);
    return fail(
      `a string in the field "${field}"`,
      text === undefined ? "no such field" : JSON.stringify(text).slice(0, 60),
      strings.length > 0 ? `The line has strings in: ${strings.join(", ")}` : undefined,
    );
  }
  if (!isWellFormed(text)) fail("text of whole characters", "half of a surrogate pair");
  const meta = fields.filter(([key, v]) => key !== field && isScalar(v));
  return {
    name: `${basename(path)}:${number}`,
    text,
    meta: Object.fromEntries(meta.map(([key, v]) => [key, typeof v === "number" ? v : String(v)])),
  };
}

function isScalar(value: unknown): value is string | number | boolean {
  return ["string", "number", "boolean"].includes(typeof value);
}

function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}
