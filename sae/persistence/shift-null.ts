// The null of a correlation: a parent latent's firings moved along the token stream by a random
// circular shift of at least one sequence, then matched as the real ones are (best over all
// children). A shift keeps the firing rate, the values and the autocorrelation, and breaks the
// alignment. Pooled over latents of similar firing frequency (log2 bins), because rare latents meet
// higher chance correlations. p = (1 + #{null ≥ observed}) / (1 + draws) of the latent's bin;
// taking the best over all children corrects for their number.
import { type Rng, sparseCorrelation } from "../../src/engine/index.ts";
import type { SparseCodes } from "../sae.ts";
import { coactivations, sparseColumns, sparseRows } from "./correlation.ts";
import { type Firings, firingCount } from "./firings.ts";
import { quantileOfSorted } from "./quantile.ts";

/** The null of one firing-frequency bin. */
export interface ShiftNullBin {
  /** Fewest and most firings of the eligible latents in it. */
  readonly firings: readonly [number, number];
  readonly latents: Int32Array;
  /** Best correlations (or another statistic) under random shifts, ascending. */
  readonly maxima: Float64Array; // [draws]
  readonly p99: number;
}

/** The nulls of all bins and the bin of each latent (−1: not eligible). */
export interface ShiftNull {
  readonly bins: readonly ShiftNullBin[];
  readonly binOf: Int32Array; // [nParent]
}

/** Options of {@link shiftNull}. */
export interface ShiftNullOptions {
  /** Shifted latents drawn per bin. */
  readonly draws: number;
  /** Rows per sequence: shifts stay at least this far from the alignment. */
  readonly sequenceLength: number;
  /** A bin with fewer latents is joined with the next rarer one. */
  readonly leastLatents?: number;
}

/** Draws the null of the best correlation for the latents with eligible[i] = 1. */
export function shiftNull(
  parent: Firings,
  child: Firings,
  childCodes: SparseCodes,
  eligible: Uint8Array,
  rng: Rng,
  options: ShiftNullOptions,
): ShiftNull {
  return shuffledNull(parent, eligible, rng, options, (drawn, shifts) =>
    shiftedMaxima(parent, child, childCodes, drawn, shifts),
  );
}

/** Draws the null of any statistic of a latent and its shift, bin by bin; `statistic` gives one value a draw. */
export function shuffledNull(
  parent: Firings,
  eligible: Uint8Array,
  rng: Rng,
  { draws, sequenceLength, leastLatents = 24 }: ShiftNullOptions,
  statistic: (drawn: Int32Array, shifts: Int32Array) => Float64Array,
): ShiftNull {
  const binOf = new Int32Array(parent.nLatents).fill(-1);
  const bins = frequencyBins(parent, eligible, leastLatents).map((latents, b): ShiftNullBin => {
    for (const i of latents) binOf[i] = b;
    const stream = rng.fork(b);
    const drawn = new Int32Array(draws);
    const shifts = new Int32Array(draws);
    for (let s = 0; s < draws; s++) {
      drawn[s] = latents[stream.int(latents.length)];
      shifts[s] = shiftFor(parent.nTokens, sequenceLength, stream);
    }
    const maxima = statistic(drawn, shifts).sort();
    const counts = Int32Array.from(latents, (i) => firingCount(parent, i)).sort();
    return {
      firings: [counts[0], counts[counts.length - 1]],
      latents: Int32Array.from(latents),
      maxima,
      p99: quantileOfSorted(maxima, 0.99),
    };
  });
  return { bins, binOf };
}

/** The chance of a statistic ≥ r in the null of latent i's bin; NaN where i has no bin, 1 where r is NaN. */
export function shiftPValue(shifts: ShiftNull, i: number, r: number): number {
  if (shifts.binOf[i] < 0) return Number.NaN;
  const { maxima } = shifts.bins[shifts.binOf[i]];
  if (Number.isNaN(r)) return 1;
  let below = 0;
  let end = maxima.length;
  while (below < end) {
    const middle = (below + end) >> 1;
    if (maxima[middle] < r) below = middle + 1;
    else end = middle;
  }
  return (1 + maxima.length - below) / (1 + maxima.length);
}

/** A shift at least `least` from the alignment on either side; any other than 0 in too short a stream. */
function shiftFor(nTokens: number, least: number, rng: Rng): number {
  const margin = nTokens > 2 * least ? least : Math.min(1, nTokens - 1);
  return margin + rng.int(nTokens - 2 * margin + (margin > 0 ? 1 : 0));
}

/** The best correlation of each drawn latent with any child after its shift; 0 where none is positive. */
function shiftedMaxima(
  parent: Firings,
  child: Firings,
  childCodes: SparseCodes,
  drawn: Int32Array,
  shifts: Int32Array,
): Float64Array {
  const kernel = sparseCorrelation();
  if (kernel) {
    const rows = sparseRows(child, childCodes);
    return kernel.shiftedMaxima(sparseColumns(parent), rows, drawn, shifts);
  }
  const sums = new Float64Array(child.nLatents);
  return Float64Array.from(drawn, (i, s) => {
    coactivations(parent, i, childCodes, sums, shifts[s]);
    return bestCorrelation(parent, i, child, sums);
  });
}

function bestCorrelation(parent: Firings, i: number, child: Firings, sums: Float64Array): number {
  const { mean, norm, nLatents } = child;
  const expected = parent.nTokens * parent.mean[i];
  let best = 0;
  for (let j = 0; j < nLatents; j++) {
    if (sums[j] === 0 || norm[j] === 0) continue;
    const r = (sums[j] - expected * mean[j]) / (parent.norm[i] * norm[j]);
    if (r > best) best = r;
  }
  return best;
}

/** Eligible latents by floor(log2(firings)), rare first; small bins are joined. */
export function frequencyBins(parent: Firings, eligible: Uint8Array, least: number): number[][] {
  const byOctave = new Map<number, number[]>();
  for (let i = 0; i < parent.nLatents; i++) {
    if (eligible[i] === 0 || parent.norm[i] === 0) continue;
    const octave = Math.floor(Math.log2(firingCount(parent, i)));
    const latents = byOctave.get(octave);
    if (latents === undefined) byOctave.set(octave, [i]);
    else latents.push(i);
  }
  const bins: number[][] = [];
  for (const [, latents] of [...byOctave].sort(([a], [b]) => a - b)) {
    const last = bins.at(-1);
    if (last !== undefined && (last.length < least || latents.length < least)) {
      for (const i of latents) last.push(i);
    } else {
      bins.push(latents);
    }
  }
  return bins;
}
