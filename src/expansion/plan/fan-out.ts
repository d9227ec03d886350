/**
 * @file Duplicating heads and neurons (Net2Net's wider step, Chen et al. 2015): unit j of the child
 * copies unit j mod n of the parent, and the copies' outgoing weights are split so that they sum to
 * the parent's. The split is uneven, so that copies do not get the same gradients.
 */
import type { Rng } from "../../engine/index.ts";

/** For each unit of the child: the parent's unit (−1 = fresh) and its share of that unit's output. */
export interface FanOut {
  readonly source: Int32Array; // [nChild]
  readonly alpha: Float64Array; // [nChild], sums to 1 over the copies of each parent unit
}

/** Shares are whole multiples of this, so that they are exact in f32 and sum to exactly 1. */
const quantum = 2 ** -20;

/** Circular copies of nParent units; shares are drawn from [.5, 1.5) and normalised. nChild ≥ nParent. */
export function circularFanOut(nParent: number, nChild: number, rng: Rng): FanOut {
  if (nChild < nParent || nParent < 1) {
    throw new Error(`internal: ${nParent} units can't fan out to ${nChild}`);
  }
  const source = Int32Array.from({ length: nChild }, (_, j) => j % nParent);
  const alpha = new Float64Array(nChild);
  for (let unit = 0; unit < nParent; unit++) {
    const copies = Math.ceil((nChild - unit) / nParent);
    const draws = Array.from({ length: copies }, () => 0.5 + rng.next());
    const total = draws.reduce((sum, draw) => sum + draw, 0);
    let rest = 1;
    for (let copy = 1; copy < copies; copy++) {
      const share = Math.round(draws[copy] / total / quantum) * quantum;
      alpha[unit + copy * nParent] = share;
      rest -= share;
    }
    alpha[unit] = rest;
  }
  return { source, alpha };
}

/** Copies as `source` says of nParent units, each at least once, with equal shares. */
export function repeatedFanOut(nParent: number, source: Int32Array): FanOut {
  const copies = new Float64Array(nParent);
  for (const from of source) copies[from]++;
  return { source, alpha: Float64Array.from(source, (from) => 1 / copies[from]) };
}

/** The same for units that come in groups of `size`, where `groups` says which group is which: all shares are the group's. */
export function groupedFanOut({ source, alpha }: FanOut, size: number): FanOut {
  const n = source.length * size;
  const group = (i: number) => Math.floor(i / size);
  return {
    source: Int32Array.from({ length: n }, (_, i) => {
      const from = source[group(i)];
      return from < 0 ? from : from * size + (i % size);
    }),
    alpha: Float64Array.from({ length: n }, (_, i) => alpha[group(i)]),
  };
}

/** The parent's n units, and behind them units without a parent, nChild in all. */
export function firstUnits(nParent: number, nChild: number): FanOut {
  return {
    source: Int32Array.from({ length: nChild }, (_, i) => (i < nParent ? i : -1)),
    alpha: Float64Array.from({ length: nChild }, (_, i) => (i < nParent ? 1 : 0)),
  };
}

/** Units that all lack a parent, as in an inserted block. */
export function freshUnits(n: number): FanOut {
  return { source: new Int32Array(n).fill(-1), alpha: new Float64Array(n) };
}
