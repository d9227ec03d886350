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

/** Units that all lack a parent, as in an inserted block. */
export function freshUnits(n: number): FanOut {
  return { source: new Int32Array(n).fill(-1), alpha: new Float64Array(n) };
}
