/** Corpora, the tokenizer, token sets and batches. */
export { addTokens, type GrownTokenizer, readTokenNames } from "./added-tokens.ts";
export type { Corpus, CorpusOrder, CorpusSpec, Document } from "./corpus.ts";
export { documentHash, type SeenDocuments, splitUnseen } from "./document-split.ts";
export { corpusSpecOf, openCorpus } from "./open-corpus.ts";
export { printableToken } from "./printable-token.ts";
export {
  type DocumentFilter,
  filterDocuments,
  type LabelFilter,
  type LabelOrder,
  orderByLabel,
} from "./select-documents.ts";
export {
  type DocumentKey,
  type SplitOptions,
  splitDefaults,
  splitDocuments,
} from "./split.ts";
export { spreadSequences } from "./spread-sequences.ts";
export { coverageWarning, type TokenCoverage, tokenCoverage } from "./token-coverage.ts";
export { type TokenRows, tokenRows } from "./token-rows.ts";
export { readTokenSet, type TokenSet, writeTokenSet } from "./token-set.ts";
export {
  type TokenizedCorpus,
  type TokenizeOptions,
  tokenizeCorpus,
} from "./tokenize-corpus.ts";
export { type TokenizeWholeOptions, tokenizeWhole } from "./tokenize-whole.ts";
export { Tokenizer, tokenizerConfig } from "./tokenizer.ts";
export { endOfTextToken, type TokenizerJson } from "./tokenizer-json.ts";
export {
  smallestVocabulary,
  type TrainBpeOptions,
  trainBpe,
  trainBpeDefaults,
} from "./train-bpe.ts";
export { batchRows, trainingBatch } from "./training-batch.ts";
export { unigramEntropy } from "./unigram-entropy.ts";
