/**
 * @file Which pre-activations survive: BatchTopK (Bussmann et al. 2024), TopK (Gao et al. 2024),
 * JumpReLU thresholds, and the top few among given latents (for AuxK). Exact and deterministic:
 * of equal values the one with the lower row and latent wins. Only positive values are ever kept,
 * so ReLU is included. NaN is never kept; the trainer notices it by its loss.
 */
import type { CodeBuffer } from "./code-buffer.ts";

/** Scratch arrays of `selectBatchTopK`, reused between calls. */
export interface BatchTopKScratch {
  readonly histogram: Int32Array; // [32768]
  candidates: CandidateList;
}

interface CandidateList {
  value: Float32Array;
  latent: Int32Array;
  rowEnd: Int32Array;
}

/** Empty scratch for `selectBatchTopK`. */
export function createBatchTopKScratch(): BatchTopKScratch {
  return {
    histogram: new Int32Array(1 << 15),
    candidates: {
      value: new Float32Array(0),
      latent: new Int32Array(0),
      rowEnd: new Int32Array(0),
    },
  };
}

/**
 * Keeps the `total` largest positive values of `pre` [nRows, nCols] (fewer if there are fewer) and
 * returns the smallest kept value, 0 if none. `guess` is a value hoped to be below that, such as
 * 0.8 × the last result: it only saves time.
 */
export function selectBatchTopK(
  pre: Float32Array,
  nRows: number,
  nCols: number,
  total: number,
  guess: number,
  out: CodeBuffer,
  scratch: BatchTopKScratch,
): number {
  let count = collectAbove(pre, nRows, nCols, Math.max(guess, 0), scratch);
  if (count < total && guess > 0) count = collectAbove(pre, nRows, nCols, 0, scratch);
  const { value, latent, rowEnd } = scratch.candidates;
  let smallest = 0;
  let ties = 0; // how many of the values equal to `smallest` are kept
  if (count > total) {
    [smallest, ties] = nthLargest(value, count, total, scratch.histogram);
  }
  out.reset(nRows, Math.min(count, total));
  const outLatent = out.latent;
  const outValue = out.value;
  let kept = 0;
  let q = 0;
  let least = Infinity;
  for (let row = 0; row < nRows; row++) {
    for (const end = rowEnd[row]; q < end; q++) {
      const v = value[q];
      if (v < smallest) continue;
      if (v === smallest && --ties < 0) continue;
      outLatent[kept] = latent[q];
      outValue[kept] = v;
      if (v < least) least = v;
      kept += 1;
    }
    out.closeRow(kept);
  }
  return kept > 0 ? least : 0;
}

/** Lists all values > floor (≥ 0) with their latents, row by row; returns how many. */
function collectAbove(
  pre: Float32Array,
  nRows: number,
  nCols: number,
  floor: number,
  scratch: BatchTopKScratch,
): number {
  const list = scratch.candidates;
  if (list.rowEnd.length < nRows) list.rowEnd = new Int32Array(nRows);
  const bits = bitsOf(pre);
  const floorBits = bitsOf(Float32Array.of(floor))[0];
  let count = 0;
  for (let row = 0; row < nRows; row++) {
    if (count + nCols > list.value.length) growCandidates(list, count, nCols);
    count = collectRow(pre, bits, row * nCols, nCols, floorBits, list.value, list.latent, count);
    list.rowEnd[row] = count;
  }
  return count;
}

/** The same memory as integers: positive floats compare as their bits do, negative ones lie below. */
function bitsOf(values: Float32Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.length);
}

const infinityBits = 0x7f800000; // above it lie the positive NaNs

/** Appends the values of one row above the floor, and their latents, at `count`; returns the new count. */
function collectRow(
  pre: Float32Array,
  bits: Int32Array,
  at: number,
  nCols: number,
  floorBits: number,
  value: Float32Array,
  latent: Int32Array,
  count: number,
): number {
  let to = count;
  for (let j = 0; j < nCols; j++) {
    const b = bits[at + j];
    // integers compare in half the time that floats take
    if (b > floorBits && b <= infinityBits) {
      value[to] = pre[at + j];
      latent[to] = j;
      to += 1;
    }
  }
  return to;
}

function growCandidates(list: CandidateList, used: number, more: number): void {
  const length = Math.max(used + more, 2 * list.value.length, 1 << 16);
  const value = new Float32Array(length);
  const latent = new Int32Array(length);
  value.set(list.value.subarray(0, used));
  latent.set(list.latent.subarray(0, used));
  list.value = value;
  list.latent = latent;
}

/**
 * The n-th largest (1-based) of `count` positive floats and how many values equal to it are among
 * the n largest. Two counting passes over the halves of the bit pattern, which orders positive
 * floats as it orders integers.
 */
function nthLargest(
  values: Float32Array,
  count: number,
  n: number,
  histogram: Int32Array,
): [value: number, ties: number] {
  const bits = bitsOf(values);
  histogram.fill(0);
  for (let i = 0; i < count; i++) histogram[bits[i] >> 16] += 1;
  let left = n;
  let high = (1 << 15) - 1;
  while (histogram[high] < left) left -= histogram[high--];
  // the low half has 16 bits; counting its upper 15 and then the last one fits the same histogram
  histogram.fill(0);
  for (let i = 0; i < count; i++)
    if (bits[i] >> 16 === high) histogram[(bits[i] & 0xffff) >> 1] += 1;
  let low = (1 << 15) - 1;
  while (histogram[low] < left) left -= histogram[low--];
  const even = (high << 16) | (low << 1);
  let odd = 0;
  for (let i = 0; i < count; i++) if (bits[i] === (even | 1)) odd += 1;
  const found = odd >= left ? even | 1 : even;
  if (found === even) left -= odd;
  const asFloat = new Float32Array(Int32Array.of(found).buffer)[0];
  return [asFloat, left];
}

/** Keeps the `k` largest values of every row of `pre` [nRows, nCols], then ReLU. */
export function selectTopK(
  pre: Float32Array,
  nRows: number,
  nCols: number,
  k: number,
  out: CodeBuffer,
): void {
  const best = new Float32Array(Math.min(k, nCols)); // descending
  const value = new Float32Array(nCols);
  const latent = new Int32Array(nCols);
  const bits = bitsOf(pre);
  const guess = new Float32Array(1); // a value hoped to be below the row's k-th largest
  const guessBits = bitsOf(guess);
  out.reset(nRows, nRows * best.length);
  let kept = 0;
  for (let row = 0; row < nRows; row++) {
    const at = row * nCols;
    let count = collectRow(pre, bits, at, nCols, guessBits[0], value, latent, 0);
    if (count < k && guess[0] > 0) count = collectRow(pre, bits, at, nCols, 0, value, latent, 0);
    let smallest = 0;
    let ties = 0; // how many of the values equal to `smallest` are kept
    if (count > k) {
      largest(value, count, best);
      smallest = best[k - 1];
      for (let i = 0; i < k; i++) if (best[i] === smallest) ties += 1;
      guess[0] = 0.8 * smallest;
    } else guess[0] = 0;
    for (let q = 0; q < count; q++) {
      const v = value[q];
      if (v < smallest || (v === smallest && --ties < 0)) continue;
      out.latent[kept] = latent[q];
      out.value[kept] = v;
      kept += 1;
    }
    out.closeRow(kept);
  }
}

/** Fills `best` with the largest of `count` ≥ best.length positive values, descending. */
function largest(value: Float32Array, count: number, best: Float32Array): void {
  const k = best.length;
  best.fill(0);
  for (let q = 0; q < count; q++) {
    const v = value[q];
    if (v <= best[k - 1]) continue;
    let i = k - 1;
    for (; i > 0 && best[i - 1] < v; i--) best[i] = best[i - 1];
    best[i] = v;
  }
}

/** JumpReLU: keeps every positive value of `pre` [nRows, nCols] above its latent's threshold [nCols]. */
export function selectAbove(
  pre: Float32Array,
  nRows: number,
  nCols: number,
  threshold: Float32Array,
  out: CodeBuffer,
): void {
  out.reset(nRows, nCols);
  let kept = 0;
  for (let row = 0; row < nRows; row++) {
    out.reserve(nCols);
    const { latent, value } = out;
    const at = row * nCols;
    for (let j = 0; j < nCols; j++) {
      const v = pre[at + j];
      if (v > threshold[j] && v > 0) {
        latent[kept] = j;
        value[kept] = v;
        kept += 1;
      }
    }
    out.closeRow(kept);
  }
}

/** Keeps the `k` largest values of every row among the listed latents (ascending), then ReLU. */
export function selectTopAmong(
  pre: Float32Array,
  nRows: number,
  nCols: number,
  latents: Int32Array,
  k: number,
  out: CodeBuffer,
): void {
  const compact = new Float32Array(nRows * latents.length); // [nRows, latents.length]
  for (let row = 0, to = 0; row < nRows; row++) {
    const at = row * nCols;
    for (let i = 0; i < latents.length; i++) compact[to++] = pre[at + latents[i]];
  }
  selectTopK(compact, nRows, latents.length, k, out);
  for (let p = 0; p < out.nnz; p++) out.latent[p] = latents[out.latent[p]];
}
