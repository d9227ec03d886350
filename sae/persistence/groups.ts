// Redundant latents of one dictionary, joined before matching (methods.md §4): without this,
// several latents for the same token each have a near-perfect child and lose the mutual argmax to
// one another. Groups are the connected components of "correlation ≥ threshold", so a chain of
// close neighbours is one group.
import type { SparseCodes } from "../sae.ts";
import { type Matches, pearson } from "./correlation.ts";
import type { Firings } from "./firings.ts";

/** A partition of the eligible latents. */
export interface Groups {
  readonly nGroups: number;
  /** The group of each latent; −1 where it is not eligible. */
  readonly of: Int32Array; // [nLatents]
  readonly members: readonly (readonly number[])[]; // [nGroups], latents ascending
}

/** How each group fares in another dictionary. */
export interface GroupMatches {
  /** The member whose correlation with a child is highest; it speaks for the group. */
  readonly leader: Int32Array; // [nGroups]
  /** That child; −1 when no member shares a firing with any. */
  readonly child: Int32Array; // [nGroups]
  readonly correlation: Float64Array; // [nGroups]
  /** 1 where that child's best parent is in the group too. */
  readonly mutual: Uint8Array; // [nGroups]
}

/** Joins the latents with eligible[i] = 1 whose correlation is ≥ threshold. Groups are in order of their first member. */
export function redundancyGroups(
  firings: Firings,
  codes: SparseCodes,
  eligible: Uint8Array,
  threshold: number,
): Groups {
  const n = firings.nLatents;
  const root = Int32Array.from({ length: n }, (_, i) => i);
  const find = (i: number): number => {
    let top = i;
    while (root[top] !== top) top = root[top];
    root[i] = top;
    return top;
  };
  const sums = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    if (eligible[i] === 0 || firings.norm[i] === 0) continue;
    laterCoactivations(firings, i, codes, sums);
    for (let j = i + 1; j < n; j++) {
      if (sums[j] === 0 || eligible[j] === 0) continue;
      if (pearson(sums[j], firings, i, firings, j) >= threshold) {
        const [a, b] = [find(i), find(j)];
        root[Math.max(a, b)] = Math.min(a, b);
      }
    }
  }
  const of = new Int32Array(n).fill(-1);
  const members: number[][] = [];
  for (let i = 0; i < n; i++) {
    if (eligible[i] === 0) continue;
    const first = find(i);
    if (first === i) members.push([]);
    of[i] = first === i ? members.length - 1 : of[first];
    members[of[i]].push(i);
  }
  return { nGroups: members.length, of, members };
}

/** Σ_t x_t y_t of latent i with the latents after it; a row's latents ascend, so it is read from its end. */
function laterCoactivations(
  { start, token, value }: Firings,
  i: number,
  codes: SparseCodes,
  into: Float64Array,
): void {
  into.fill(0, i + 1);
  const { rowStart, latent } = codes;
  for (let p = start[i]; p < start[i + 1]; p++) {
    const from = rowStart[token[p]];
    for (let s = rowStart[token[p] + 1] - 1; s >= from && latent[s] > i; s--) {
      into[latent[s]] += value[p] * codes.value[s];
    }
  }
}

/** Mutual argmax between groups and the latents of another dictionary; a group's correlation is its best member's. */
export function matchGroups(groups: Groups, matches: Matches): GroupMatches {
  const { nGroups, of, members } = groups;
  const leader = new Int32Array(nGroups);
  const child = new Int32Array(nGroups).fill(-1);
  const correlation = new Float64Array(nGroups).fill(Number.NaN);
  const mutual = new Uint8Array(nGroups);
  for (let g = 0; g < nGroups; g++) {
    leader[g] = members[g][0];
    for (const i of members[g]) {
      const r = matches.correlation[i * matches.top];
      if (r > correlation[g] || (Number.isNaN(correlation[g]) && !Number.isNaN(r))) {
        leader[g] = i;
        correlation[g] = r;
        child[g] = matches.child[i * matches.top];
      }
    }
    if (child[g] >= 0 && of[matches.claimant[child[g]]] === g) mutual[g] = 1;
  }
  return { leader, child, correlation, mutual };
}
