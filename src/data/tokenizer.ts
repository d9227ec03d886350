/**
 * A tokenizer: text to ids and back, loaded from a Hugging Face `tokenizer.json` (ours or anybody's of
 * the byte-pair kind) and stored as one. Special tokens are never read from text: whoever wants one puts
 * its id (`endOfText`) where it belongs.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { readJson, UsageError, writeJsonAtomic } from "../io/index.ts";
import { bytesOfToken } from "./byte-alphabet.ts";
import { ByteLevelBpe, isByteComplete } from "./byte-level-bpe.ts";
import { ForeignBpe } from "./foreign-bpe.ts";
import { printableToken } from "./printable-token.ts";
import { type CheckedTokenizer, checkTokenizer, type TokenizerJson } from "./tokenizer-json.ts";

const endOfTextNames = ["<|endoftext|>", "<|begin_of_text|>", "<bos>", "<s>", "</s>"];

/** Turns text into token ids and back. */
export class Tokenizer {
  /** Number of ids: the largest id plus one. */
  readonly vocabSize: number;
  /** Id of <|endoftext|>, which begins each sequence (in models that lack it, the token that does). */
  readonly endOfText: number;
  readonly #checked: CheckedTokenizer;
  readonly #bpe: ByteLevelBpe | ForeignBpe;
  readonly #where: string;

  private constructor(checked: CheckedTokenizer, where: string) {
    this.#checked = checked;
    this.#where = where;
    this.vocabSize = checked.tokens.length;
    this.endOfText = findEndOfText(checked, where);
    this.#bpe = isPlain(checked) ? plainBpe(checked) : new ForeignBpe(checked.json, where);
  }

  /**
   * Loads a `tokenizer.json`: its path, the path of its folder, or the parsed document. Errors: a file
   * that is missing or malformed, a model type other than BPE, no token to begin a sequence with.
   */
  static load(source: string | TokenizerJson): Tokenizer {
    if (typeof source !== "string") {
      return new Tokenizer(checkTokenizer(source, "tokenizer.json"), "tokenizer.json");
    }
    const path = isFolder(source) ? join(source, "tokenizer.json") : source;
    return new Tokenizer(checkTokenizer(readJson(path), path), path);
  }

  /** Ids of `text`, without special tokens, [nTokens]. */
  encode(text: string): Int32Array {
    return this.#bpe.encode(text);
  }

  /** Text of `ids`; bytes that are not UTF-8 become U+FFFD. Errors: an id outside the vocabulary. */
  decode(ids: ArrayLike<number>): string {
    for (let i = 0; i < ids.length; i++) {
      if (!(Number.isInteger(ids[i]) && ids[i] >= 0 && ids[i] < this.vocabSize)) {
        throw new UsageError({
          code: "token-id",
          where: `${this.#where}: id ${i}`,
          expected: `an integer from 0 to ${this.vocabSize - 1}`,
          got: String(ids[i]),
        });
      }
    }
    if (this.#bpe instanceof ForeignBpe) return this.#bpe.decode(ids);
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(this.#bpe.decodeBytes(ids));
  }

  /**
   * Each token as one line of printable text, [vocabSize]: a space stays a space, control and other
   * invisible characters are escaped (`\n`, `\u{200b}`), and so are bytes that are not whole characters
   * (`\xE2\x80`). For showing and for Arrow dictionaries, not for decoding: two tokens may look alike.
   */
  tokenStrings(): string[] {
    const { json, tokens } = this.#checked;
    const added = new Set(json.added_tokens.map(({ id }) => id));
    const spelt = json.decoder?.type === "ByteLevel";
    return tokens.map((token, id) => {
      if (token === undefined || added.has(id)) return printableToken(token ?? "");
      return printableToken((spelt && bytesOfToken(token)) || this.decode([id]));
    });
  }

  /** The `tokenizer.json` document. */
  toJSON(): TokenizerJson {
    return this.#checked.json;
  }

  /** Writes the `tokenizer.json` to the file `path`. */
  save(path: string): void {
    writeJsonAtomic(path, this.#checked.json);
  }
}

/**
 * The `tokenizer_config.json` that lets `AutoTokenizer` of Hugging Face transformers load the folder;
 * `context` is the model's longest sequence.
 */
export function tokenizerConfig(tokenizer: Tokenizer, context: number): Record<string, unknown> {
  const { added_tokens } = tokenizer.toJSON();
  const name = added_tokens.find((token) => token.id === tokenizer.endOfText)?.content;
  return {
    tokenizer_class: "PreTrainedTokenizerFast",
    bos_token: name,
    eos_token: name,
    unk_token: name,
    model_max_length: context,
    clean_up_tokenization_spaces: false,
  };
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function findEndOfText({ json, tokens }: CheckedTokenizer, where: string): number {
  const special = json.added_tokens.filter((token) => token.special);
  for (const name of endOfTextNames) {
    const id = special.find((token) => token.content === name)?.id ?? tokens.indexOf(name);
    if (id >= 0) return id;
  }
  throw new UsageError({
    code: "tokenizer-malformed",
    where: `${where}: added_tokens`,
    expected: `a token that begins a sequence (one of ${endOfTextNames.join(" ")})`,
    got: "none",
  });
}

// GPT-2's kind: nothing but byte-level words and merges, and a vocabulary that can spell any byte.
function isPlain({ json, tokens }: CheckedTokenizer): boolean {
  const { normalizer, pre_tokenizer, decoder, model, added_tokens } = json;
  return (
    (normalizer ?? null) === null &&
    pre_tokenizer?.type === "ByteLevel" &&
    pre_tokenizer.use_regex !== false &&
    decoder?.type === "ByteLevel" &&
    !model.end_of_word_suffix &&
    model.byte_fallback !== true &&
    added_tokens.every((token) => token.special) &&
    isByteComplete(tokens)
  );
}

function plainBpe({ json, tokens, merges }: CheckedTokenizer): ByteLevelBpe {
  return new ByteLevelBpe({
    tokens,
    added: new Map(json.added_tokens.map(({ id, content }) => [id, content])),
    merges,
    ignoreMerges: json.model.ignore_merges === true,
    addPrefixSpace: json.pre_tokenizer?.add_prefix_space === true,
  });
}
