/**
 * @file Tokens added to a vocabulary: rows of the embedding, and of the unembedding where it is another, behind the
 * parent's. Each is the mean of the parent's rows (Hewitt 2021, "Initializing new word embeddings"), so that a new token
 * gets the mean of the old logits: n new ones on V take at most the share n/(V + n) of the probability; that bound
 * is Jensen's. Small normal draws part them. The old tokens' logits stay exactly; the softmax over all of them does not.
 */
import { type AxisMap, MEAN } from "./plan/axis-map.ts";

/** Deviation of new rows from the mean, as a share of the old rows' deviation. */
export const tokenSpread = 0.01;

/** Rows of a table of `count` tokens, of which the parent has `nParent`. */
export function tokenRows(nParent: number, count: number): AxisMap {
  return {
    source: Int32Array.from({ length: count }, (_, i) => (i < nParent ? i : MEAN)),
    weight: null,
  };
}
