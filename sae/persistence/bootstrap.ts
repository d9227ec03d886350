// Bootstrap of shares of latents (Efron & Tibshirani 1993, percentile intervals): each replicate
// draws blocks of whole sequences, latents (whole redundancy groups) and, where an arm has several,
// seeds, each with replacement; of seeds one fewer than there are (meanOverSeeds). One set of draws serves every arm, so that differences between arms
// are paired. Matches and thresholds stay those of the full sample: the intervals are conditional
// on them. A block is a run of neighbouring sequences, so that documents mostly stay in one.
import type { Rng } from "../../src/engine/index.ts";
import type { LevelledFirings } from "./containment.ts";
import { quantile } from "./quantile.ts";

/** The draws that all arms share. */
export interface Resampling {
  readonly replicates: number;
  readonly nBlocks: number;
  readonly blockOf: Int32Array; // [nTokens]
  readonly blockTokens: Float64Array; // [nBlocks]
  /** How often each block is drawn. */
  readonly blockDraws: Uint8Array; // [replicates, nBlocks]
  /** How often each group is drawn. */
  readonly groupDraws: Uint8Array; // [replicates, nGroups]
  readonly groupSizes: Float64Array; // [nGroups], latents
}

/** A share and what the replicates make of it. */
export interface Sample {
  readonly value: number;
  readonly replicates: Float64Array;
}

/**
 * The block of each token row: whole sequences, in order, in at most `blocks` runs of near equal length.
 * `sequenceLength` is the rows of every sequence, or of each.
 */
export function sequenceBlocks(
  nTokens: number,
  sequenceLength: number | Int32Array,
  blocks: number,
): { blockOf: Int32Array; nBlocks: number } {
  if (typeof sequenceLength === "number") {
    const sequences = Math.ceil(nTokens / sequenceLength);
    const nBlocks = Math.min(blocks, sequences);
    const blockOf = Int32Array.from({ length: nTokens }, (_, t) =>
      Math.floor((Math.floor(t / sequenceLength) * nBlocks) / sequences),
    );
    return { blockOf, nBlocks };
  }
  // sequences of unequal length: one goes to the block that its middle row falls into
  const wanted = Math.min(blocks, sequenceLength.length);
  const blockOf = new Int32Array(nTokens);
  let [row, nBlocks, at] = [0, 0, -1];
  for (const length of sequenceLength) {
    const block = Math.floor(((row + length / 2) * wanted) / nTokens);
    if (block !== at) nBlocks++;
    at = block;
    blockOf.fill(nBlocks - 1, row, row + length);
    row += length;
  }
  return { blockOf, nBlocks };
}

/** Draws the replicates. */
export function resample(
  { blockOf, nBlocks }: { blockOf: Int32Array; nBlocks: number },
  groupSizes: Float64Array,
  replicates: number,
  rng: Rng,
): Resampling {
  const blockTokens = new Float64Array(nBlocks);
  for (const b of blockOf) blockTokens[b]++;
  return {
    replicates,
    nBlocks,
    blockOf,
    blockTokens,
    blockDraws: draws(replicates, nBlocks, rng.fork("blocks")),
    groupDraws: draws(replicates, groupSizes.length, rng.fork("latents")),
    groupSizes,
  };
}

/** What the replicates make of one matched pair. */
export interface PairReplicates {
  /** Pearson correlation; NaN where a side is constant on the drawn blocks. */
  readonly correlation: Float64Array; // [replicates]
  /** The lesser of the two strong containments; NaN where a side has no strong firing. */
  readonly containment: Float64Array; // [replicates]
  /** How the parent latent fires in the drawn blocks: 0 = not at all, 1 = weakly only, 2 = strongly. */
  readonly parentFires: Uint8Array; // [replicates]
}

const fields = 9;
const zeros: readonly number[] = new Array(fields).fill(0);

/** Sums one pair by block, so that a replicate costs nBlocks and not nTokens. */
export function pairReplicates(
  parent: LevelledFirings,
  i: number,
  child: LevelledFirings,
  j: number,
  { replicates, nBlocks, blockOf, blockTokens, blockDraws }: Resampling,
): PairReplicates {
  const sums = new Float64Array(nBlocks * fields); // x, y, xx, yy, xy, strongP, hitP, strongC, hitC
  let p = parent.start[i];
  let c = child.start[j];
  const [endP, endC] = [parent.start[i + 1], child.start[j + 1]];
  while (p < endP || c < endC) {
    const tokenP = p < endP ? parent.token[p] : Infinity;
    const tokenC = c < endC ? child.token[c] : Infinity;
    const x = tokenP <= tokenC ? parent.value[p++] : 0;
    const y = tokenC <= tokenP ? child.value[c++] : 0;
    const at = blockOf[Math.min(tokenP, tokenC)] * fields;
    sums[at] += x;
    sums[at + 1] += y;
    sums[at + 2] += x * x;
    sums[at + 3] += y * y;
    sums[at + 4] += x * y;
    if (x > parent.strongAbove[i]) {
      sums[at + 5]++;
      if (y > 0) sums[at + 6]++;
    }
    if (y > child.strongAbove[j]) {
      sums[at + 7]++;
      if (x > 0) sums[at + 8]++;
    }
  }
  const correlation = new Float64Array(replicates);
  const containment = new Float64Array(replicates);
  const parentFires = new Uint8Array(replicates);
  for (let r = 0; r < replicates; r++) {
    let n = 0;
    let [x, y, xx, yy, xy, strongP, hitP, strongC, hitC] = zeros;
    for (let b = 0; b < nBlocks; b++) {
      const times = blockDraws[r * nBlocks + b];
      if (times === 0) continue;
      const at = b * fields;
      n += times * blockTokens[b];
      x += times * sums[at];
      y += times * sums[at + 1];
      xx += times * sums[at + 2];
      yy += times * sums[at + 3];
      xy += times * sums[at + 4];
      strongP += times * sums[at + 5];
      hitP += times * sums[at + 6];
      strongC += times * sums[at + 7];
      hitC += times * sums[at + 8];
    }
    const scale = Math.sqrt((xx - (x * x) / n) * (yy - (y * y) / n));
    correlation[r] = scale > 0 ? (xy - (x * y) / n) / scale : Number.NaN;
    containment[r] = Math.min(hitP / strongP, hitC / strongC);
    parentFires[r] = strongP > 0 ? 2 : x > 0 ? 1 : 0;
  }
  return { correlation, containment, parentFires };
}

/**
 * The share of latents whose group passes: `value` from `passes` [nGroups], the replicates from
 * `passesIn` [nGroups, replicates], each weighted by how often the group is drawn and its size.
 * `among` [nGroups] restricts the denominator. NaN when it is empty.
 */
export function shareOf(
  passes: Uint8Array,
  passesIn: Uint8Array,
  { replicates, groupDraws, groupSizes }: Resampling,
  among?: Uint8Array,
): Sample {
  const sizes = groupSizes.map((size, g) => (among === undefined || among[g] === 1 ? size : 0));
  const nGroups = sizes.length;
  let passed = 0;
  let all = 0;
  for (let g = 0; g < nGroups; g++) {
    all += sizes[g];
    passed += passes[g] * sizes[g];
  }
  const shares = new Float64Array(replicates);
  for (let r = 0; r < replicates; r++) {
    let drawn = 0;
    let hit = 0;
    for (let g = 0; g < nGroups; g++) {
      const weight = groupDraws[r * nGroups + g] * sizes[g];
      drawn += weight;
      hit += weight * passesIn[g * replicates + r];
    }
    shares[r] = hit / drawn;
  }
  return { value: passed / all, replicates: shares };
}

/**
 * The mean over an arm's n seeds; each replicate draws n − 1 of them with replacement (McCarthy & Snowden 1985). Then
 * the replicates vary by s²/n between seeds, with s² = Σ (x − x̄)²/(n − 1); n draws give (n − 1)/n of that, half of it
 * for two seeds. What sequences and latents add is the same draw in every seed and does not depend on how many are
 * drawn; what they add in one seed and not in another counts more than once, which widens. A single seed is taken as it
 * is: its replicates hold nothing of how much seeds differ.
 */
export function meanOverSeeds(seeds: readonly Sample[], rng: Rng): Sample {
  const n = seeds.length;
  const drawn = Math.max(1, n - 1);
  const replicates = new Float64Array(seeds[0].replicates.length);
  for (let r = 0; r < replicates.length; r++) {
    for (let s = 0; s < drawn; s++) replicates[r] += seeds[rng.int(n)].replicates[r] / drawn;
  }
  return { value: seeds.reduce((sum, { value }) => sum + value / n, 0), replicates };
}

/** A quantity computed from samples, replicate by replicate, with the same formula. */
export function combine(samples: readonly Sample[], formula: (...x: number[]) => number): Sample {
  const replicates = Float64Array.from(samples[0].replicates, (_, r) =>
    formula(...samples.map((sample) => sample.replicates[r])),
  );
  return { value: formula(...samples.map(({ value }) => value)), replicates };
}

/** The 95% percentile interval; null when no replicate is finite. */
export function interval({ replicates }: Sample): [number, number] | null {
  const finite = replicates.filter((value) => Number.isFinite(value));
  return finite.length === 0 ? null : [quantile(finite, 0.025), quantile(finite, 0.975)];
}

/** Standard error: the standard deviation of the finite replicates; NaN for fewer than two. */
export function standardError({ replicates }: Sample): number {
  const finite = replicates.filter((value) => Number.isFinite(value));
  const mean = finite.reduce((sum, value) => sum + value, 0) / finite.length;
  const squares = finite.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.sqrt(squares / (finite.length - 1));
}

function draws(replicates: number, n: number, rng: Rng): Uint8Array {
  const times = new Uint8Array(replicates * n); // a count above 255 in n draws of n does not occur
  for (let r = 0; r < replicates; r++) {
    for (let d = 0; d < n; d++) times[r * n + rng.int(n)]++;
  }
  return times;
}
