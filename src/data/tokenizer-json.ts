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
  if (!isFields(value)) {
    throw malformed(where, "a JSON object (tokenizer.json)", describe(value));
  }
  const { model } = value;
  if (!isFields(model)) throw malformed(`${where}: model`, "an object", describe(model));
  checkModelType(model, where);
  if ((model.dropout ?? 0) !== 0) {
    const expected = "null (the same text must give the same ids)";
    throw malformed(`${where}: model.dropout`, expected, describe(model.dropout));
  }
  for (const step of ["normalizer", "pre_tokenizer", "post_processor", "decoder"]) {
    const found = value[step] ?? null;
    if (found !== null && !(isFields(found) && typeof found.type === "string")) {
      throw malformed(`${where}: ${step}`, "null or an object with a type", describe(found));
    }
  }
  const { vocab } = model;
  if (!isFields(vocab)) {
    throw malformed(`${where}: model.vocab`, "an object of token: id", describe(vocab));
  }
  const added = checkAddedTokens(value.added_tokens ?? [], where);
  return {
    json: { ...value, added_tokens: added } as unknown as TokenizerJson,
    tokens: placeTokens(vocab, added, where),
    merges: checkMerges(model.merges, vocab, where),
  };
}

function checkAddedTokens(list: unknown, where: string): AddedToken[] {
  if (!Array.isArray(list)) throw malformed(`${where}: added_tokens`, "a list", describe(list));
  return list.map((token: unknown, at) => {
    const field = `${where}: added_tokens[${at}]`;
    if (!isFields(token)) throw malformed(field, "an object", describe(token));
    const { id, content, single_word, lstrip, rstrip, normalized, special } = token;
    if (typeof content !== "string" || content === "") {
      throw malformed(`${field}.content`, "a string", describe(content));
    }
    return {
      id: checkId(id, `${field}.id`),
      content,
      single_word: single_word === true,
      lstrip: lstrip === true,
      rstrip: rstrip === true,
      normalized: normalized === true,
      special: special === true,
    };
  });
}

// String of each id; a gap, where no token has the id, is undefined.
function placeTokens(
  vocab: Fields,
  added: readonly AddedToken[],
  where: string,
): (string | undefined)[] {
  const tokens: (string | undefined)[] = [];
  const put = (token: string, id: number): void => {
    while (tokens.length < id) tokens.push(undefined);
    if (tokens[id] !== undefined && tokens[id] !== token) {
      const got = `id ${id} for ${quote(tokens[id])} and for ${quote(token)}`;
      throw malformed(`${where}: model.vocab`, "an id of its own for each token", got);
    }
    tokens[id] = token;
  };
  for (const [token, id] of Object.entries(vocab)) {
    put(token, checkId(id, `${where}: model.vocab[${quote(token)}]`));
  }
  for (const { content, id } of added) put(content, id);
  if (tokens.length === 0) throw malformed(`${where}: model.vocab`, "at least one token", "none");
  return tokens;
}

function checkId(id: unknown, where: string): number {
  if (typeof id === "number" && Number.isInteger(id) && id >= 0 && id <= largestId) return id;
  throw malformed(where, `an id from 0 to ${largestId}`, describe(id));
}

function checkMerges(merges: unknown, vocab: Fields, where: string): [string, string][] {
  if (!Array.isArray(merges)) throw malformed(`${where}: model.merges`, "a list", describe(merges));
  return merges.map((merge: unknown, at) => {
    const pair: unknown = typeof merge === "string" ? merge.split(" ") : merge;
    const field = `${where}: model.merges[${at}]`;
    if (!isPair(pair)) throw malformed(field, "two tokens", describe(merge));
    for (const token of [pair[0], pair[1], pair[0] + pair[1]]) {
      if (!Object.hasOwn(vocab, token))
        throw malformed(field, "tokens of model.vocab", quote(token));
    }
    return pair;
  });
}

function checkModelType(model: Fields, where: string): void {
  const type = model.type ?? ("merges" in model ? "BPE" : undefined);
  const prefix = model.continuing_subword_prefix ?? "";
  if (type === "BPE" && prefix === "") return;
  throw new UsageError({
    code: "tokenizer-unsupported",
    where: `${where}: model.${type === "BPE" ? "continuing_subword_prefix" : "type"}`,
    expected: type === "BPE" ? "none" : '"BPE" (byte-pair encoding)',
    got: describe(type === "BPE" ? prefix : type),
    hint: "Use a model of the GPT-2, NeoX or Llama kind, or train a tokenizer on your own text",
  });
}

function malformed(where: string, expected: string, got: string): UsageError {
  return new UsageError({ code: "tokenizer-malformed", where, expected, got });
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
