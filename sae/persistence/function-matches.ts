// One dictionary looked for in another, by function alone (methods.md §4): mutual argmax of
// correlation between redundancy groups and latents, then correlation ≥ τ and strong containment
// both ways. Directions play no part, so this works between any two models on the same tokens. The
// shares of groups that are found are the cells of the 2×2.
import type { SparseCodes } from "../sae.ts";
import { interval, pairReplicates, type Resampling, type Sample, shareOf } from "./bootstrap.ts";
import { type LevelledFirings, pairOverlap, withLevels } from "./containment.ts";
import { correlationMatches, type Matches } from "./correlation.ts";
import { firingCount, firingsOf } from "./firings.ts";
import { type GroupMatches, type Groups, matchGroups, redundancyGroups } from "./groups.ts";
import { quantile } from "./quantile.ts";
import { isFunction } from "./verdicts.ts";

/** A dictionary whose latents are looked for. */
export interface Side {
  readonly codes: SparseCodes;
  readonly firings: LevelledFirings;
  /** 1 where a latent fires often enough. */
  readonly eligible: Uint8Array; // [nLatents]
  readonly groups: Groups;
}

/** What became of each group of a side in another dictionary. */
export interface FunctionMatches {
  readonly matches: Matches;
  readonly groups: GroupMatches;
  /** Strong containment of the leader and its child; NaN without a child. */
  readonly containPc: Float64Array; // [nGroups]
  readonly containCp: Float64Array; // [nGroups]
  /** 1 for a match at τ. */
  readonly matched: Uint8Array; // [nGroups]
  /** 1 for a function match. */
  readonly found: Uint8Array; // [nGroups]
}

/** The shares of a side that another dictionary has, with bootstrap replicates. */
export interface FunctionShares {
  readonly function: Sample;
  readonly match: Sample;
  /** 1 where the group is a function match in that replicate. */
  readonly foundIn: Uint8Array; // [nGroups, replicates]
  /** 95% interval of the leader's correlation; NaN without a child or where not asked for. */
  readonly correlationLow: Float64Array; // [nGroups]
  readonly correlationHigh: Float64Array; // [nGroups]
}

/** Prepares a dictionary; errors as in firingsOf. */
export function prepareSide(
  codes: SparseCodes,
  where: string,
  minFirings: number,
  redundancy: number,
): Side {
  const firings = withLevels(firingsOf(codes, where));
  const eligible = Uint8Array.from({ length: firings.nLatents }, (_, i) =>
    firingCount(firings, i) >= minFirings ? 1 : 0,
  );
  return {
    codes,
    firings,
    eligible,
    groups: redundancyGroups(firings, codes, eligible, redundancy),
  };
}

/** Looks for each group of `side` in a dictionary. `tau` is the correlation threshold of each latent of `side`. */
export function functionMatches(
  side: Side,
  codes: SparseCodes,
  firings: LevelledFirings,
  tau: Float64Array,
  containment: number,
): FunctionMatches {
  const matches = correlationMatches(side.firings, firings, codes, { candidates: side.eligible });
  const groups = matchGroups(side.groups, matches);
  const { nGroups } = side.groups;
  const containPc = new Float64Array(nGroups).fill(Number.NaN);
  const containCp = new Float64Array(nGroups).fill(Number.NaN);
  const matched = new Uint8Array(nGroups);
  const found = new Uint8Array(nGroups);
  for (let g = 0; g < nGroups; g++) {
    if (groups.child[g] < 0) continue;
    const overlap = pairOverlap(side.firings, groups.leader[g], firings, groups.child[g]);
    containPc[g] = overlap.containPc;
    containCp[g] = overlap.containCp;
    if (groups.mutual[g] === 0) continue;
    const threshold = tau[groups.leader[g]];
    const evidence = { ...overlap, correlation: groups.correlation[g] };
    if (evidence.correlation >= threshold) matched[g] = 1;
    if (isFunction(evidence, threshold, containment)) found[g] = 1;
  }
  return { matches, groups, containPc, containCp, matched, found };
}

/**
 * The shares, and what the bootstrap makes of each pair; `everyPair` false leaves out pairs that are no mutual match.
 * Blocks in which the side's own latent is silent can't say whether the other dictionary has it: what they leave open
 * stays as in the full sample. A latent that fires while the other is silent was not found.
 */
export function functionShares(
  side: Side,
  firings: LevelledFirings,
  { groups, containPc, containCp, matched, found }: FunctionMatches,
  tau: Float64Array,
  containment: number,
  resampling: Resampling,
  everyPair: boolean,
): FunctionShares {
  const { nGroups } = side.groups;
  const { replicates } = resampling;
  const foundIn = new Uint8Array(nGroups * replicates);
  const matchedIn = new Uint8Array(nGroups * replicates);
  const correlationLow = new Float64Array(nGroups).fill(Number.NaN);
  const correlationHigh = new Float64Array(nGroups).fill(Number.NaN);
  for (let g = 0; g < nGroups; g++) {
    const [i, j] = [groups.leader[g], groups.child[g]];
    if (j < 0 || (groups.mutual[g] === 0 && !everyPair)) continue;
    const pair = pairReplicates(side.firings, i, firings, j, resampling);
    const ends = interval({ value: groups.correlation[g], replicates: pair.correlation });
    correlationLow[g] = ends?.[0] ?? Number.NaN;
    correlationHigh[g] = ends?.[1] ?? Number.NaN;
    if (groups.mutual[g] === 0) continue;
    const contained = Math.min(containPc[g], containCp[g]);
    for (let r = 0; r < replicates; r++) {
      const at = g * replicates + r;
      const fires = pair.parentFires[r];
      if (fires === 0) {
        matchedIn[at] = matched[g];
        foundIn[at] = found[g];
      } else if (pair.correlation[r] >= tau[i]) {
        matchedIn[at] = 1;
        if ((fires === 1 ? contained : pair.containment[r]) >= containment) foundIn[at] = 1;
      }
    }
  }
  return {
    function: shareOf(found, foundIn, resampling),
    match: shareOf(matched, matchedIn, resampling),
    foundIn,
    correlationLow,
    correlationHigh,
  };
}

/** Upper end of the 95% percentile interval of the finite values; NaN when there are none. */
export function upperEnd(replicates: Float64Array): number {
  return quantile(
    replicates.filter((value) => Number.isFinite(value)),
    0.975,
  );
}
