/**
 * Byte-pair tokenizers that are not of GPT-2's plain kind (NeoX with its runs of spaces, Llama), through
 * Hugging Face's own JavaScript library. Slower by far than byte-level-bpe.ts, and white space outside
 * Latin-1 may be cut as JavaScript sees it. Special tokens are never read from text here either.
 */
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { UsageError } from "../io/index.ts";
import type { TokenizerJson } from "./tokenizer-json.ts";

/** Encodes and decodes with `@huggingface/tokenizers`. */
export class ForeignBpe {
  readonly #library: HuggingFaceTokenizer;
  readonly #special: Map<number, string>;

  /** Errors: a step (normalizer, pre-tokenizer, decoder) that the library doesn't know. */
  constructor(json: TokenizerJson, where: string) {
    const special = json.added_tokens.filter((token) => token.special);
    this.#special = new Map(special.map(({ id, content }) => [id, content]));
    const ordinary = json.added_tokens.filter((token) => !token.special);
    try {
      this.#library = new HuggingFaceTokenizer(
        { ...json, added_tokens: ordinary, post_processor: null },
        { clean_up_tokenization_spaces: false },
      );
    } catch (error) {
      throw new UsageError({
        code: "tokenizer-unsupported",
        where,
        expected: "a tokenizer that @huggingface/tokenizers can read",
        got: error instanceof Error ? error.message : String(error),
        cause: error,
      });
    }
  }

  /** Ids of `text`, without special tokens. */
  encode(text: string): Int32Array {
    return Int32Array.from(this.#library.encode(text, { add_special_tokens: false }).ids);
  }

  /** Text of `ids`; special tokens stand for their names. */
  decode(ids: ArrayLike<number>): string {
    let text = "";
    let run: number[] = [];
    const flush = (): void => {
      if (run.length > 0) text += this.#library.decode(run);
      run = [];
    };
    for (let i = 0; i < ids.length; i++) {
      const name = this.#special.get(ids[i]);
      if (name === undefined) run.push(ids[i]);
      else {
        flush();
        text += name;
      }
    }
    flush();
    return text;
  }
}
