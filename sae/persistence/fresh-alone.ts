// Whether fresh SAEs may call latents split or merged on their own word. An SAE trained with another
// seed cuts some features up by chance, on the child as on the parent. Where nothing split, the fresh
// SAEs of both are exchangeable, so the same rule with the two exchanged (the mirror) makes as many
// such calls by chance. Where (1 + mirror) / called ≤ α, the expected share of false calls is at most
// α (knockoff+, Barber & Candès 2015; it takes latents to be independent and the two exchangeable).
import { type LatentEvidence, parentVerdict, type VerdictRule } from "./verdicts.ts";

/** What fresh SAEs alone say of one kind of verdict, in groups of the parent. */
export interface FreshWord {
  /** Verdicts that rest on them alone, or would if they stood. */
  readonly called: number;
  /** The same with the fresh SAEs of parent and child exchanged; null where either has none. */
  readonly mirror: number | null;
  /** Whether such verdicts are given. */
  readonly stands: boolean;
}

/** The word of fresh SAEs on splits (absorbed latents among them) and on merges. */
export interface FreshAlone {
  readonly split: FreshWord;
  readonly merged: FreshWord;
}

/** What is known of a group, and the share of fresh parent SAEs that have it whole; null without any. */
export interface Mirrored {
  readonly evidence: LatentEvidence;
  readonly parentSeedRate: number | null;
}

type Kind = keyof FreshAlone;

/** Counts both kinds of call; `falseShare` is the α up to which they stand. */
export function freshAlone(
  groups: readonly Mirrored[],
  rule: VerdictRule,
  falseShare: number,
): FreshAlone {
  const calls = (kind: Kind, all: readonly LatentEvidence[], splits: boolean): number =>
    all.filter((e) => {
      const open = withFreshWord(e, { split: kind === "split" || splits, merged: true });
      const { verdict } = parentVerdict(open, rule);
      return verdictsOf[kind].has(verdict) && !isShown(open, kind, rule);
    }).length;
  const word = (kind: Kind, splits: boolean): FreshWord => {
    const hasBoth = groups.some(
      ({ evidence }) => evidence[kind]?.freshRate != null && evidence[kind].seedRate !== null,
    );
    if (!hasBoth) {
      const unopposed = groups.map(({ evidence }) => withSeedRate(evidence, kind));
      return { called: calls(kind, unopposed, splits), mirror: null, stands: false };
    }
    const called = calls(
      kind,
      groups.map(({ evidence }) => evidence),
      splits,
    );
    const mirror = calls(kind, groups.map(exchanged), false);
    return { called, mirror, stands: called > 0 && (1 + mirror) / called <= falseShare };
  };
  const split = word("split", true);
  return { split, merged: word("merged", split.stands) };
}

/** The evidence with what is known of the fresh SAEs' word in this comparison. */
export function withFreshWord(
  e: LatentEvidence,
  stands: Readonly<Record<Kind, boolean>>,
): LatentEvidence {
  return {
    ...e,
    split: e.split && { ...e.split, alone: stands.split },
    merged: e.merged && { ...e.merged, alone: stands.merged },
  };
}

const verdictsOf: Readonly<Record<Kind, ReadonlySet<string>>> = {
  split: new Set(["split", "absorbed"]),
  merged: new Set(["merged"]),
};

/** Whether the carried SAE shows it: then the verdict does not rest on fresh ones alone. */
function isShown(e: LatentEvidence, kind: Kind, rule: VerdictRule): boolean {
  return e[kind]!.set !== null && e[kind]!.q <= rule.q;
}

/** The fresh SAEs of parent and child exchanged. Every latent counts here, also those that no fresh parent SAE found. */
function exchanged({ evidence: e, parentSeedRate }: Mirrored): LatentEvidence {
  return {
    ...e,
    seedStable: null,
    freshRate: parentSeedRate,
    split: e.split && { ...e.split, freshRate: e.split.seedRate, seedRate: e.split.freshRate },
    merged: e.merged && { ...e.merged, freshRate: e.merged.seedRate, seedRate: e.merged.freshRate },
  };
}

/** As if fresh parent SAEs had been trained and none showed it. */
function withSeedRate(e: LatentEvidence, kind: Kind): LatentEvidence {
  return { ...e, [kind]: e[kind] && { ...e[kind], seedRate: 0 } };
}
