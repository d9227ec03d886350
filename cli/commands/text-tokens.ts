/** @file A text as sequences of a model's tokens, all of it: for measuring, where nothing is held out. */
import { join } from "node:path";
import {
  corpusSpecOf,
  coverageWarning,
  openCorpus,
  Tokenizer,
  type TokenSet,
  tokenizeWhole,
} from "../../src/data/index.ts";
import { UsageError } from "../../src/io/index.ts";
import { type ModelConfig, modelSizes } from "../../src/models/index.ts";

/** A tokenized text. */
export interface TextTokens {
  readonly set: TokenSet;
  readonly tokenizer: Tokenizer;
  /** Names of the documents that `set.doc` counts. */
  readonly documents: readonly string[];
  /** SHA-256 of what the documents are made of. */
  readonly fingerprint: string;
  /** That the tokenizer covers the text badly, with figures. */
  readonly warnings: readonly string[];
}

/** Longest sequence that is cut where the model would allow longer ones. */
const longestContext = 256;

/**
 * The first `maxTokens` tokens of the corpus at `text`, cut into sequences of the model's context, with
 * the tokenizer beside the model. `atMost` shortens the sequences further. Errors: UsageError for files that are missing, empty or too short.
 */
export async function tokensOfText(
  modelDir: string,
  config: ModelConfig,
  text: string,
  maxTokens: number,
  atMost: number = longestContext,
): Promise<TextTokens> {
  const tokenizer = Tokenizer.load(join(modelDir, "tokenizer.json"));
  const sizes = modelSizes(config);
  if (tokenizer.vocabSize > sizes.vocabSize) {
    throw new UsageError({
      code: "tokenizer-mismatch",
      where: join(modelDir, "tokenizer.json"),
      expected: `at most the model's ${sizes.vocabSize} tokens`,
      got: `${tokenizer.vocabSize}`,
    });
  }
  const corpus = openCorpus(corpusSpecOf(text));
  const { set, documents } = await tokenizeWhole(corpus, tokenizer, {
    context: Math.min(sizes.context, longestContext, atMost),
    maxTokens,
  });
  const warning = coverageWarning(tokenizer, set.ids);
  return {
    set,
    tokenizer,
    documents,
    fingerprint: await corpus.fingerprint(),
    warnings: warning === null ? [] : [`${text}: ${warning}`],
  };
}
