/**
 * Batches for training. Which sequences make the batch of a step is a pure function of the seed and the
 * step, so a resumed run goes on where it was with no state. Each epoch meets every sequence once, in an
 * order of its own: a Feistel network over the sequence numbers (Black & Rogaway 2002, with cycle
 * walking), which is a permutation that needs no memory.
 */
import type { Rng } from "../engine/index.ts";
import { UsageError } from "../io/index.ts";
import type { CorpusOrder } from "./corpus.ts";
import type { TokenSet } from "./token-set.ts";

const rounds = 6;

/**
 * Ids of the batch of `step` (from 0), [batchSize * context]. With `order` "file" the sequences come in
 * the order of the corpus, again from the beginning when it ends. Only `rng`'s seed matters, not what
 * was drawn from it.
 */
export function trainingBatch(
  set: TokenSet,
  batchSize: number,
  step: number,
  rng: Rng,
  order: CorpusOrder = "shuffled",
): Int32Array {
  const rows = batchRows(set.nSeq, batchSize, step, rng, order);
  const ids = new Int32Array(batchSize * set.context);
  rows.forEach((row, i) => {
    ids.set(set.ids.subarray(row * set.context, (row + 1) * set.context), i * set.context);
  });
  return ids;
}

/** Sequence numbers of the batch of `step`, [batchSize]. Errors: no sequences. */
export function batchRows(
  nSeq: number,
  batchSize: number,
  step: number,
  rng: Rng,
  order: CorpusOrder = "shuffled",
): Int32Array {
  if (nSeq < 1) {
    throw new UsageError({
      code: "corpus-too-short",
      where: "training data",
      expected: "at least one sequence",
      got: "none",
    });
  }
  const rows = new Int32Array(batchSize);
  let epoch = -1;
  let keys: Int32Array = new Int32Array(rounds);
  for (let i = 0; i < batchSize; i++) {
    const met = step * batchSize + i; // sequences met before this one
    if (order === "shuffled" && epoch !== Math.floor(met / nSeq)) {
      epoch = Math.floor(met / nSeq);
      keys = epochKeys(rng, epoch);
    }
    rows[i] = order === "file" ? met % nSeq : permuted(met % nSeq, nSeq, keys);
  }
  return rows;
}

function epochKeys(rng: Rng, epoch: number): Int32Array {
  const stream = rng.fork(`epoch ${epoch}`);
  return Int32Array.from({ length: rounds }, () => stream.int(2 ** 32));
}

// Image of `index` under a permutation of 0 … n - 1 that `keys` choose.
function permuted(index: number, n: number, keys: Int32Array): number {
  const halfBits = Math.max(3, Math.ceil(Math.log2(n) / 2));
  const mask = 2 ** halfBits - 1;
  let value = index;
  do {
    let left = Math.floor(value / 2 ** halfBits);
    let right = value & mask;
    for (const key of keys) {
      const mixed = left ^ (hash32(right ^ key) & mask);
      left = right;
      right = mixed;
    }
    value = left * 2 ** halfBits + right;
  } while (value >= n); // the network permutes a square that is larger than n: walk until inside
  return value;
}

// MurmurHash3's finaliser.
function hash32(x: number): number {
  let h = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
