/**
 * The parts of a Hugging Face `tokenizer.json` that concern us, and the check of one that somebody else
 * wrote. Limits: byte-pair models (`model.type` "BPE", with `vocab` and `merges`); a WordPiece, Unigram
 * or WordLevel model is refused by name.
 */
import { UsageError } from "../io/index.ts";

/** The special token that parts documents and begins every sequence, in GPT-2's spelling. */
export const endOfTextToken = "<|endoftext|>";

/** A token that is matched as a whole and never merged. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

/** A pre-tokenizer, decoder, normalizer or post-processor: its type and settings. */
export interface TokenizerStep {
  readonly type: string;
  readonly [setting: string]: unknown;
}

/** The model of a byte-pair tokenizer. */
export interface BpeModel {
  readonly type?: "BPE"; // GPT-2's own file has no type
  readonly dropout?: number | null;
  readonly unk_token?: string | null;
  readonly continuing_subword_prefix?: string | null;
  readonly end_of_word_suffix?: string | null;
  readonly fuse_unk?: boolean;
  readonly byte_fallback?: boolean;
  readonly ignore_merges?: boolean;
  readonly vocab: Readonly<Record<string, number>>;
  readonly merges: readonly (string | readonly [string, string])[];
}

/** A `tokenizer.json`. */
export interface TokenizerJson {
  readonly version?: string;
  readonly truncation?: unknown;
  readonly padding?: unknown;
  readonly added_tokens: readonly AddedToken[];
  readonly normalizer: TokenizerStep | null;
  readonly pre_tokenizer: TokenizerStep | null;
  readonly post_processor: TokenizerStep | null;
  readonly decoder: TokenizerStep | null;
  readonly model: BpeModel;
}

/** What `checkTokenizer` found out about a tokenizer. */
export interface CheckedTokenizer {
  readonly json: TokenizerJson;
  /** String of each id; undefined where no token has the id. */
  readonly tokens: (string | undefined)[];
  /** The merges as pairs of strings, the first to be applied first. */
  readonly merges: [string, string][];
}

type Fields = Record<string, unknown>;

const largestId = 2 ** 22;

/** Checks an untrusted `tokenizer.json`; `where` names its file in errors. Errors: anything a byte-pair tokenizer can't have. */
export function checkTokenizer(value: unknown, where: string): CheckedTokenizer {
  const fail = (field: string, expected: string, got: string, hint?: string): never => {
    throw new UsageError({
      code: "tokenizer-malformed",
      where: field === "" ? where : `${where}: ${field}`,
      expected,
      got,
      hint,
    });
  };
  if (!isFields(value)) return fail("", "a JSON object (tokenizer.json)", describe(value));
  if (!isFields(value.model)) return fail("model", "an object", describe(value.model));
  checkModelType(value.model, where);

  const { vocab, merges, dropout } = value.model;
  if (!isFields(vocab)) return fail("model.vocab", "an object of token: id", describe(vocab));
  if (!Array.isArray(merges)) return fail("model.merges", "a list", describe(merges));
  if (dropout !== undefined && dropout !== null && dropout !== 0) {
    fail("model.dropout", "null (the same text must give the same ids)", describe(dropout));
  }
  const steps = ["normalizer", "pre_tokenizer", "post_processor", "decoder"] as const;
  for (const step of steps) {
    const found = value[step] ?? null;
    if (found === null) continue;
    if (!isFields(found) || typeof found.type !== "string") {
      fail(step, "null or an object with a type", describe(found));
    }
  }
  const added = value.added_tokens ?? [];
  if (!Array.isArray(added)) return fail("added_tokens", "a list", describe(added));

  const tokens: (string | undefined)[] = [];
  const put = (token: string, id: unknown, field: string): void => {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id > largestId) {
      return fail(field, `an id from 0 to ${largestId}`, describe(id));
    }
    while (tokens.length < id) tokens.push(undefined);
    if (tokens[id] !== undefined && tokens[id] !== token) {
      fail(field, "one token for each id", `id ${id} for ${quote(tokens[id])} and ${quote(token)}`);
    }
    tokens[id] = token;
  };
  for (const [token, id] of Object.entries(vocab)) put(token, id, `model.vocab[${quote(token)}]`);
  for (const [at, token] of (added as unknown[]).entries()) {
    const field = `added_tokens[${at}]`;
    if (!isFields(token)) return fail(field, "an object", describe(token));
    if (typeof token.content !== "string" || token.content === "") {
      return fail(`${field}.content`, "a string", describe(token.content));
    }
    put(token.content, token.id, `${field}.id`);
  }
  if (tokens.length === 0) fail("model.vocab", "at least one token", "none");

  const pairs = merges.map((merge: unknown, at): [string, string] => {
    const pair = typeof merge === "string" ? merge.split(" ") : merge;
    const field = `model.merges[${at}]`;
    if (!isPair(pair)) return fail(field, "two tokens", describe(merge));
    for (const token of [pair[0], pair[1], pair[0] + pair[1]]) {
      if (!Object.hasOwn(vocab, token)) fail(field, "tokens of model.vocab", quote(token));
    }
    return pair;
  });
  const json = { ...value, added_tokens: added.map(fillAddedToken) } as unknown as TokenizerJson;
  return { json, tokens, merges: pairs };
}

function checkModelType(model: Fields, where: string): void {
  const type = model.type ?? ("merges" in model ? "BPE" : undefined);
  if (type === "BPE") return;
  throw new UsageError({
    code: "tokenizer-unsupported",
    where: `${where}: model.type`,
    expected: '"BPE" (byte-pair encoding)',
    got: describe(type),
    hint: "Use a model of the GPT-2, NeoX or Llama kind, or train a tokenizer on your own text",
  });
}

function fillAddedToken(token: AddedToken): AddedToken {
  const { id, content, single_word, lstrip, rstrip, normalized, special } = token;
  return {
    id,
    content,
    single_word: single_word === true,
    lstrip: lstrip === true,
    rstrip: rstrip === true,
    normalized: normalized === true,
    special: special === true,
  };
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isPair(value: unknown): value is [string, string] {
  return Array.isArray(value) && value.length === 2 && value.every((x) => typeof x === "string");
}

function quote(token: string | undefined): string {
  return JSON.stringify(token) ?? "nothing";
}

function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  return JSON.stringify(value);
}
