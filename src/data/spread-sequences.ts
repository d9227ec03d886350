/** Evenly spread parts of a set of sequences, for measurements that need not see all of it. */

/** Sequences of equal length laid end to end, with what a token set knows of each. */
interface SequenceSet {
  readonly ids: Int32Array; // [nSeq · context]
  readonly nSeq: number;
  readonly context: number;
  readonly doc?: Int32Array; // [nSeq]
  readonly start?: Int32Array; // [nSeq]
}

/** At most `count` sequences, evenly spread over the set. */
export function spreadSequences<S extends SequenceSet>(set: S, count: number): S {
  const { context } = set;
  const nSeq = Math.min(count, set.nSeq);
  const from = Int32Array.from({ length: nSeq }, (_, i) => Math.floor((i * set.nSeq) / nSeq));
  const ids = new Int32Array(nSeq * context);
  for (let i = 0; i < nSeq; i++) {
    ids.set(set.ids.subarray(from[i] * context, (from[i] + 1) * context), i * context);
  }
  const { doc, start } = set;
  return {
    ...set,
    ids,
    nSeq,
    ...(doc && { doc: from.map((sequence) => doc[sequence]) }),
    ...(start && { start: from.map((sequence) => start[sequence]) }),
  };
}
