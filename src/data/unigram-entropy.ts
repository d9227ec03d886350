/**
 * The loss of a model that knows nothing but how frequent each token is: the bar that a language model
 * has to get under.
 */
import type { TokenSet } from "./token-set.ts";

/**
 * Cross-entropy, in nats per token, of the tokens of `heldOut` under the frequencies of `train` with
 * one added to each count. Position 0 (<|endoftext|>) counts on neither side: no model has to predict it.
 */
export function unigramEntropy(train: TokenSet, heldOut: TokenSet, vocabSize: number): number {
  const counts = countTokens(train, vocabSize);
  const tests = countTokens(heldOut, vocabSize);
  const total = train.nSeq * (train.context - 1) + vocabSize;
  let sum = 0;
  for (let id = 0; id < vocabSize; id++) {
    if (tests[id] > 0) sum -= tests[id] * Math.log((counts[id] + 1) / total);
  }
  return sum / (heldOut.nSeq * (heldOut.context - 1));
}

function countTokens({ ids, context }: TokenSet, vocabSize: number): Float64Array {
  const counts = new Float64Array(vocabSize);
  for (let i = 0; i < ids.length; i++) if (i % context !== 0) counts[ids[i]]++;
  return counts;
}
