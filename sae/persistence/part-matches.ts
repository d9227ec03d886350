// What became of latents in several pieces, for one arm: parent groups whose work is shared by
// several latents of the arm (split, absorbed), and groups that share one latent of it (merged).
// A latent of the arm that is the function match of one group is no part of another's split: where a
// parent latent died and more specific ones inside it live on, nothing split. Absorbed is apart: the
// group's own heir went on in its direction, and latents of other directions, whoever's heirs they
// are, took the rest of its firings (feature absorption, arXiv 2409.14507).
import { firingCount } from "./firings.ts";
import type { FunctionMatches, Side } from "./function-matches.ts";
import { gainThreshold } from "./part-null.ts";
import { type PartPool, type PartRule, type PartSet, partFinder, partPool } from "./part-search.ts";
import type { ShiftNull } from "./shift-null.ts";

/** A group in several pieces. */
export interface Split extends PartSet {
  readonly absorbed: boolean;
}

/** A group that shares a latent of the arm with others; `members` are all their leaders. */
export interface Merge extends PartSet {
  readonly child: number;
  /** The other groups. */
  readonly partners: readonly number[];
}

/** What the search finds in one arm, by parent group. */
export interface PartMatches {
  readonly split: readonly (Split | null)[]; // [nGroups]
  readonly merged: readonly (Merge | null)[]; // [nGroups]
}

/** The nulls of both searches, measured on the carried arm. */
export interface PartNulls {
  readonly split: ShiftNull;
  readonly merged: ShiftNull;
}

/** What the search needs beside an arm. */
export interface PartContext {
  readonly parent: Side;
  readonly parentPool: PartPool;
  readonly rule: PartRule;
  readonly nulls: PartNulls;
  /** Least gain in R² over the best single latent. */
  readonly gainFloor: number;
  /** τ of correlation of each parent latent. */
  readonly tau: Float64Array; // [nParent]
  /** τ of the mapped decoder cosine. */
  readonly cosine: number;
}

/** Searches one arm. `cosine(i, j)`: of the mapped decoders of parent latent i and the arm's j; null where there is no map. */
export function partMatches(
  context: PartContext,
  matches: FunctionMatches,
  arm: Pick<PartPool, "codes" | "firings">,
  cosine: ((i: number, j: number) => number) | null,
): PartMatches {
  return {
    split: splits(context, matches, arm, cosine),
    merged: merges(context, matches, arm),
  };
}

function splits(
  { parent, rule, nulls, gainFloor, tau, cosine: cosineThreshold }: PartContext,
  { groups, found }: FunctionMatches,
  { codes, firings }: Pick<PartPool, "codes" | "firings">,
  cosine: ((i: number, j: number) => number) | null,
): (Split | null)[] {
  const find = partFinder(partPool(codes, firings), rule);
  const heirOf = new Int32Array(firings.nLatents).fill(-1);
  found.forEach((is, g) => {
    if (is === 1) heirOf[groups.child[g]] = g;
  });
  return Array.from(groups.leader, (i, g): Split | null => {
    const threshold = gainThreshold(nulls.split, firingCount(parent.firings, i), gainFloor);
    const best = groups.correlation[g];
    const whole = { whole: parent.firings, latent: i, best };
    const enough = (set: PartSet | null): set is PartSet => set !== null && set.gain >= threshold;
    const heir = groups.mutual[g] === 1 && best >= tau[i] ? groups.child[g] : -1;
    const keepsDirection = (j: number): boolean =>
      cosine !== null && cosine(i, j) >= cosineThreshold;
    const isAbsorbed = ({ members }: PartSet): boolean =>
      heir >= 0 &&
      members.includes(heir) &&
      keepsDirection(heir) &&
      members.every((j) => j === heir || !keepsDirection(j));

    const own = find({ ...whole, allowed: (j) => heirOf[j] < 0 || heirOf[j] === g });
    if (enough(own)) return { ...own, absorbed: isAbsorbed(own) };
    if (heir < 0 || !keepsDirection(heir)) return null;
    const all = find({ ...whole, allowed: () => true, first: heir });
    return enough(all) && isAbsorbed(all) ? { ...all, absorbed: true } : null;
  });
}

function merges(
  { parent, parentPool, rule, nulls, gainFloor }: PartContext,
  { matches, groups, found }: FunctionMatches,
  { firings }: Pick<PartPool, "codes" | "firings">,
): (Merge | null)[] {
  const find = partFinder(parentPool, rule);
  const { of, nGroups } = parent.groups;
  const merged: (Merge | null)[] = new Array(nGroups).fill(null);
  for (let j = 0; j < firings.nLatents; j++) {
    const count = firingCount(firings, j);
    if (count < rule.minFirings) continue;
    // A group speaks through its leader, and one that lives on elsewhere did not merge.
    const allowed = (i: number): boolean => {
      const g = of[i];
      return g >= 0 && groups.leader[g] === i && (found[g] === 0 || groups.child[g] === j);
    };
    const set = find({
      whole: firings,
      latent: j,
      allowed,
      best: matches.relativeCorrelation[j],
    });
    if (set === null || set.gain < gainThreshold(nulls.merged, count, gainFloor)) continue;
    const together = set.members.map((i) => of[i]);
    for (const g of together) {
      if (merged[g] !== null && merged[g].gain >= set.gain) continue;
      merged[g] = { ...set, child: j, partners: together.filter((other) => other !== g) };
    }
  }
  return merged;
}

/** Share of arms in which each group is in pieces and not found whole; null without any arm. */
export function splitRate(
  arms: readonly { readonly parts: PartMatches; readonly matches: FunctionMatches }[],
): Float64Array | null {
  if (arms.length === 0) return null;
  return Float64Array.from(arms[0].parts.split, (_, g) => {
    const times = arms.filter(({ parts, matches }) => parts.split[g] && matches.found[g] === 0);
    return times.length / arms.length;
  });
}

/** 1 where most of the arms that have a group in pieces have it absorbed. */
export function mostlyAbsorbed(
  arms: readonly { readonly parts: PartMatches; readonly matches: FunctionMatches }[],
  nGroups: number,
): Uint8Array {
  return Uint8Array.from({ length: nGroups }, (_, g) => {
    const pieces = arms.flatMap(({ parts, matches }) =>
      parts.split[g] && matches.found[g] === 0 ? [parts.split[g].absorbed] : [],
    );
    return 2 * pieces.filter(Boolean).length > pieces.length ? 1 : 0;
  });
}

/**
 * Share of arms in which each group is merged with a same partner: one of those in `own`, or, where
 * that is null, the partner that most arms agree on. Null without any arm.
 */
export function mergeRate(
  arms: readonly { readonly parts: PartMatches; readonly matches: FunctionMatches }[],
  own: readonly (Merge | null)[],
): Float64Array | null {
  if (arms.length === 0) return null;
  return Float64Array.from(own, (merge, g) => {
    const times = new Map<number, number>();
    for (const { parts, matches } of arms) {
      if (matches.found[g] === 1) continue;
      for (const partner of parts.merged[g]?.partners ?? []) {
        if (merge === null || merge.partners.includes(partner)) {
          times.set(partner, (times.get(partner) ?? 0) + 1);
        }
      }
    }
    return Math.max(0, ...times.values()) / arms.length;
  });
}
