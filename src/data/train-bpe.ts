/**
 * Trains a byte-level BPE tokenizer (GPT-2's kind, Radford et al. 2019) and states it as a Hugging Face
 * `tokenizer.json`. Id 0 is <|endoftext|>, ids 1 to 256 are the bytes in the order of their characters,
 * the rest are merges, most frequent first: the ids that the Hugging Face trainer gives. Any text can be
 * encoded, whatever the corpus held.
 */
import { UsageError } from "../io/index.ts";
import { charOfByte } from "./byte-alphabet.ts";
import { countWords } from "./count-words.ts";
import { learnMerges } from "./learn-merges.ts";
import { endOfTextToken, type TokenizerJson } from "./tokenizer-json.ts";

/** Settings of `trainBpe`. */
export interface TrainBpeOptions {
  /** Pairs that occur less often are not merged; the vocabulary of a small corpus then stays smaller than asked. */
  readonly minFrequency?: number;
  /** Training looks at this many characters from the beginning of the texts; the rest teaches little. */
  readonly maxCharacters?: number;
}

/** Defaults of `TrainBpeOptions`. */
export const trainBpeDefaults: Required<TrainBpeOptions> = {
  minFrequency: 2,
  maxCharacters: 100_000_000,
};

/** Tokens that every vocabulary has: <|endoftext|> and the bytes. */
export const smallestVocabulary = 257;
const largestVocabulary = 2 ** 20;

/**
 * A tokenizer of at most `vocabSize` tokens, <|endoftext|> included, learnt from `texts`. The same
 * texts give the same tokenizer. Errors: a vocabulary below 257 or above 2^20 tokens.
 */
export async function trainBpe(
  texts: AsyncIterable<string> | Iterable<string>,
  vocabSize: number,
  options: TrainBpeOptions = {},
): Promise<TokenizerJson> {
  const {
    minFrequency = trainBpeDefaults.minFrequency,
    maxCharacters = trainBpeDefaults.maxCharacters,
  } = options;
  if (!(Number.isInteger(vocabSize) && vocabSize >= smallestVocabulary)) {
    throw new UsageError({
      code: "vocabulary-size",
      where: "vocab",
      expected: `at least ${smallestVocabulary} tokens (the 256 bytes and ${endOfTextToken})`,
      got: String(vocabSize),
    });
  }
  if (vocabSize > largestVocabulary) {
    throw new UsageError({
      code: "vocabulary-size",
      where: "vocab",
      expected: `at most ${largestVocabulary} tokens`,
      got: String(vocabSize),
    });
  }
  const symbols = [endOfTextToken, ...[...charOfByte].sort()];
  const idOfByte = Int32Array.from(charOfByte, (c) => symbols.indexOf(c));
  const counted = await countWords(texts, maxCharacters);
  const encoder = new TextEncoder();
  const words = Array.from(counted.keys(), (word) =>
    Int32Array.from(encoder.encode(word), (byte) => idOfByte[byte]),
  );
  const merges = learnMerges(words, [...counted.values()], symbols, vocabSize, minFrequency);
  return describe(
    symbols,
    merges.map(({ left, right }) => `${symbols[left]} ${symbols[right]}`),
  );
}

function describe(symbols: readonly string[], merges: readonly string[]): TokenizerJson {
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: false };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [
      {
        id: 0,
        content: endOfTextToken,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      },
    ],
    normalizer: null,
    pre_tokenizer: { ...byteLevel, use_regex: true },
    post_processor: { ...byteLevel, use_regex: true },
    decoder: { ...byteLevel, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(symbols.map((symbol, id) => [symbol, id])),
      merges,
    },
  };
}
