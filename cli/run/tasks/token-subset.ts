/** Evenly spread parts of a token set, for measurements that need not see all of it. */
import type { TokenSet } from "../../../src/data/index.ts";

/** At most `count` sequences, evenly spread over the set. */
export function spreadSequences(set: TokenSet, count: number): TokenSet {
  const nSeq = Math.min(count, set.nSeq);
  const ids = new Int32Array(nSeq * set.context);
  const doc = new Int32Array(nSeq);
  const start = new Int32Array(nSeq);
  for (let i = 0; i < nSeq; i++) {
    const from = Math.floor((i * set.nSeq) / nSeq);
    ids.set(set.ids.subarray(from * set.context, (from + 1) * set.context), i * set.context);
    doc[i] = set.doc[from];
    start[i] = set.start[from];
  }
  return { ids, doc, start, nSeq, context: set.context };
}

/** The held-out sequences that a run's measurements use: about `tokens` tokens of them. */
export function heldOutSubset(set: TokenSet, tokens: number): TokenSet {
  return spreadSequences(set, Math.max(1, Math.round(tokens / set.context)));
}
