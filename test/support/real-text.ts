// Real text as tokens, for tests of learning: State of the Union addresses under a small vocabulary.
import {
  openCorpus,
  type TokenizedCorpus,
  Tokenizer,
  tokenizeCorpus,
  trainBpe,
} from "../../src/data/index.ts";

/** Settings of `realText`. */
export interface RealTextOptions {
  /** Ids in a sequence. */
  readonly context: number;
  readonly vocabulary: number;
  readonly maxTokens: number;
}

/** The first tokens of the corpus, a tenth of its documents held out. */
export async function realText({
  context,
  vocabulary,
  maxTokens,
}: RealTextOptions): Promise<TokenizedCorpus & { readonly tokenizer: Tokenizer }> {
  const corpus = openCorpus({ kind: "sotu" });
  const texts = async function* (): AsyncGenerator<string> {
    let characters = 0;
    for await (const { text } of corpus.documents()) {
      yield text;
      characters += text.length;
      if (characters > 200_000) return;
    }
  };
  const tokenizer = Tokenizer.load(await trainBpe(texts(), vocabulary));
  const options = { context, heldOutFraction: 0.1, seed: 0, maxTokens };
  return { ...(await tokenizeCorpus(corpus, tokenizer, options)), tokenizer };
}
