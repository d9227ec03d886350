/**
 * Tokens added behind a tokenizer's own, as transformers' `add_tokens` numbers them: from the largest id plus one. They
 * are ordinary tokens, matched as a whole in raw text before anything else is cut.
 */
import { readFileSync } from "node:fs";
import { readProblem, UsageError } from "../io/index.ts";
import { checkTokenizer, type TokenizerJson } from "./tokenizer-json.ts";

/** A `tokenizer.json` with more tokens. */
export interface GrownTokenizer {
  readonly json: TokenizerJson;
  /** Ids from 0 to here: the smallest vocabulary that a model of it has. */
  readonly vocabSize: number;
}

/**
 * Adds `names` to a parsed `tokenizer.json`; `where` names its file, `source` that of the names. Errors: UsageError for
 * a document that is no byte-pair tokenizer, and for names that are empty, given twice, or tokens already.
 */
export function addTokens(
  document: unknown,
  names: readonly string[],
  { where, source }: { readonly where: string; readonly source: string },
): GrownTokenizer {
  const { json, tokens } = checkTokenizer(document, where);
  const known = new Set(tokens);
  const bad = (got: string): UsageError =>
    new UsageError({
      code: "added-tokens",
      where: source,
      expected: "new tokens, one a line",
      got,
    });
  if (names.length === 0) throw bad("none");
  for (const name of names) {
    if (known.has(name)) {
      throw bad(`${JSON.stringify(name)}, twice or a token of ${where} already`);
    }
    known.add(name);
  }
  const added = names.map((content, i) => ({
    id: tokens.length + i,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: false,
  }));
  return {
    json: { ...json, added_tokens: [...json.added_tokens, ...added] },
    vocabSize: tokens.length + added.length,
  };
}

/** The lines of a file that aren't empty. Errors: UsageError where it can't be read. */
export function readTokenNames(path: string): string[] {
  try {
    return readFileSync(path, "utf8")
      .split(/\r?\n/)
      .filter((line) => line !== "");
  } catch (error) {
    throw readProblem(error, path);
  }
}
