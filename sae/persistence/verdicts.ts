// The verdict on each latent, in the order of methods.md §4; the first that applies is given.
//   parent side: unknown, persisted or carried_only, split or absorbed, merged, drifted_direction,
//   drifted_meaning, uncertain, lost_by_sae or died; child side: unknown, inherited, born, uncovered.
// Match = mutual argmax of correlation. Function = correlation ≥ τ and strong containment ≥ its
// threshold both ways. Each verdict comes with the evidence in words.
// A carried latent can stay one by inertia while the model's feature came apart. So where at least
// half of the fresh child SAEs, and fewer of the fresh parent SAEs, have it in pieces, that outweighs
// a carried latent without a fresh witness (probes read a sum of pieces as well as a whole), as long as
// the comparison shows more of that than chance makes (fresh-alone.ts).
import type { PartSet } from "./part-search.ts";

/** Verdicts a parent latent can get, in the order of the rule. */
export const parentVerdicts = [
  "unknown",
  "persisted",
  "carried_only",
  "split",
  "absorbed",
  "merged",
  "drifted_direction",
  "drifted_meaning",
  "uncertain",
  "died",
  "lost_by_sae",
] as const;
/** One of {@link parentVerdicts}. */
export type ParentVerdict = (typeof parentVerdicts)[number];

/**
 * Verdicts of a child latent besides its matched parent's: related = it has an ancestor that is not
 * its mutual match; uncertain = too weak for an ancestor, too unconfirmed to be born.
 */
export type ChildVerdict = ParentVerdict | "related" | "born" | "uncovered";

/** The thresholds the rule uses, beside each latent's own τ of correlation. */
export interface VerdictRule {
  readonly minFirings: number;
  /** τ of the mapped decoder cosine. */
  readonly cosine: number;
  readonly containment: number;
  /** From here up to τ a correlation still says "something of it is left". */
  readonly meaningFloor: number;
  /** A probe on the child must reach this share of the parent's R²… */
  readonly probeShare: number;
  /** …and exceed that of the random-weights model by this much. */
  readonly probeMargin: number;
  readonly freshShare: number;
  readonly q: number;
}

/** Held-out R² of a latent's probes; null or NaN = not measured. */
export interface ProbeEvidence {
  /** On the model whose SAE has the latent. */
  readonly own: number;
  /** On the other model. */
  readonly other: number;
  /** On a random-weights model of the same size. */
  readonly random: number;
}

/** What speaks for a split or a merge. */
export interface PartsEvidence {
  /** What the carried SAE shows; null where it shows nothing. */
  readonly set: PartSet | null;
  /** Of the set's gain against shuffled wholes; NaN without a set or a test. */
  readonly q: number;
  /** Share of the fresh child SAEs that show the same; null without any. */
  readonly freshRate: number | null;
  /** Share of the fresh parent SAEs that do: pieces that owe nothing to the child. Null without any. */
  readonly seedRate: number | null;
  /** Whether the word of the fresh SAEs alone is enough in this comparison (fresh-alone.ts). */
  readonly alone: boolean;
}

/** What is known about a parent latent (or the leader of its group). NaN and null = not measured. */
export interface LatentEvidence {
  readonly firings: number;
  /** False when enough fresh parent seeds were trained and none of them found it. */
  readonly seedStable: boolean | null;
  /** Its best child and that child's firings; −1 and 0 when it shares no firing with any. */
  readonly child: number;
  readonly childFirings: number;
  readonly mutual: boolean;
  readonly correlation: number;
  /** Upper end of the correlation's 95% interval. */
  readonly correlationHigh: number;
  readonly correlationThreshold: number;
  readonly q: number;
  readonly containPc: number;
  readonly containCp: number;
  readonly cosine: number | null;
  readonly freshRate: number | null;
  readonly probe: ProbeEvidence | null;
  /** Null where nothing was searched. */
  readonly split: (PartsEvidence & { readonly absorbed: boolean }) | null;
  readonly merged: (PartsEvidence & { readonly child: number }) | null;
}

/** A verdict and its evidence in words. */
export interface Verdict<Name extends string = ParentVerdict> {
  readonly verdict: Name;
  readonly detail: string;
}

/** Whether a pair does the same job: correlation ≥ τ and strong containment both ways. */
export function isFunction(
  {
    correlation,
    containPc,
    containCp,
  }: { correlation: number; containPc: number; containCp: number },
  correlationThreshold: number,
  containment: number,
): boolean {
  return (
    correlation >= correlationThreshold && containPc >= containment && containCp >= containment
  );
}

/** Whether the probe on the other model reads the latent above the random-weights null. */
export function isReadable(probe: ProbeEvidence | null, rule: VerdictRule): boolean {
  return probe !== null && probe.other >= probe.random + rule.probeMargin;
}

/** What witnesses the latent in the child without the carried dictionary, or null. */
export function witnessOf(
  freshRate: number | null,
  probe: ProbeEvidence | null,
  rule: VerdictRule,
): string | null {
  if (isFresh(freshRate, rule)) return `found in ${percent(freshRate!)} of the fresh child SAEs`;
  if (isReadable(probe, rule) && probe!.other >= rule.probeShare * probe!.own) {
    return `probe R² ${short(probe!.other)} in the child, ${short(probe!.own)} in the parent, ${short(probe!.random)} on random weights`;
  }
  return null;
}

/**
 * Whether the fresh SAEs alone say so, and their word is enough: at least half of the child's show it,
 * fewer have the latent whole (`whole`), and fewer of the parent's show it, of which there are some.
 */
export function freshSay(
  parts: PartsEvidence | null,
  whole: number | null,
  rule: VerdictRule,
): boolean {
  return (
    parts?.alone === true &&
    isFresh(parts.freshRate, rule) &&
    !isFresh(whole, rule) &&
    parts.seedRate !== null &&
    parts.seedRate < rule.freshShare
  );
}

/**
 * Whether a split or merge stands: shown by the carried SAE with q ≤ .05 and, where there are fresh
 * child SAEs, by at least half of them, and by fewer than half of the fresh parent SAEs; or by the
 * fresh SAEs alone where `isOpen`: where nothing that the carried SAE shows speaks against it.
 */
export function partsStand(
  parts: PartsEvidence | null,
  whole: number | null,
  isOpen: boolean,
  rule: VerdictRule,
): boolean {
  if (parts === null || isFresh(parts.seedRate, rule)) return false;
  if (parts.set !== null && parts.q <= rule.q) {
    return parts.freshRate === null || isFresh(parts.freshRate, rule);
  }
  return isOpen && freshSay(parts, whole, rule);
}

function isFresh(rate: number | null, rule: VerdictRule): boolean {
  return rate !== null && rate >= rule.freshShare;
}

/**
 * Whether the carried SAE kept the latent, direction included, and nothing outweighs that: rule 2
 * short of the witness.
 */
export function isKept(e: LatentEvidence, rule: VerdictRule): boolean {
  return (
    e.mutual &&
    isFunction(e, e.correlationThreshold, rule.containment) &&
    !(e.q > rule.q) &&
    (e.cosine === null || e.cosine >= rule.cosine) &&
    !isOutweighed(e, rule)
  );
}

/** Whether fresh SAEs have the latent in pieces, and too few have it whole. (A merge would have changed what the carried latent fires on.) */
export function isOutweighed(
  { freshRate, split }: Pick<LatentEvidence, "freshRate" | "split">,
  rule: VerdictRule,
): boolean {
  return freshSay(split, freshRate, rule);
}

/** The verdict on a parent latent. Without a frame (cosine null) direction is not asked about, and no drift can be seen. */
export function parentVerdict(e: LatentEvidence, rule: VerdictRule): Verdict {
  const say = (verdict: ParentVerdict, detail: string): Verdict => ({ verdict, detail });
  if (e.firings < rule.minFirings) {
    return say("unknown", `fires ${e.firings} times, ${rule.minFirings} are needed`);
  }
  if (e.seedStable === false) return say("unknown", "no fresh parent SAE found it");

  const tau = e.correlationThreshold;
  const pair = `r ${short(e.correlation)} to child ${e.child}`;
  const direction = e.cosine === null ? "" : `, cosine ${short(e.cosine)}`;
  const functions = isFunction(e, tau, rule.containment) && !(e.q > rule.q);
  const aligned = e.cosine === null || e.cosine >= rule.cosine;
  if (isKept(e, rule)) {
    const witness = witnessOf(e.freshRate, e.probe, rule);
    return witness === null
      ? say("carried_only", `${pair}${direction}; no witness outside the carried SAE`)
      : say("persisted", `${pair}${direction}; ${witness}`);
  }
  const isOne = e.mutual && functions;
  if (partsStand(e.split, e.freshRate, true, rule)) {
    const { set, absorbed } = e.split!;
    if (set === null) {
      return say(
        absorbed ? "absorbed" : "split",
        `in pieces${inFresh(e.split!)}; in the carried SAE ${isOne ? "still one, " : ""}${pair}${direction}`,
      );
    }
    const pieces = `children ${set.members.join(", ")} cover ${percent(set.coverage)} of its strong firings, R² ${short(set.gain)} above the best one's`;
    return absorbed
      ? say(
          "absorbed",
          `${pair}${direction}, and others took the rest: ${pieces}${agreeing(e.split!)}`,
        )
      : say("split", `${pieces}${agreeing(e.split!)}`);
  }
  if (partsStand(e.merged, e.freshRate, !isOne, rule)) {
    const { set, child } = e.merged!;
    return set === null
      ? say("merged", `in one latent with another${inFresh(e.merged!)}; in the carried SAE ${pair}`)
      : say(
          "merged",
          `parents ${set.members.join(", ")} share child ${child}: they cover ${percent(set.coverage)} of its strong firings, R² ${short(set.gain)} above the best one's${agreeing(e.merged!)}`,
        );
  }
  if (isOne) {
    return say("drifted_direction", `${pair}${direction} is below ${short(rule.cosine)}`);
  }
  if (
    e.cosine !== null &&
    aligned &&
    e.correlation >= rule.meaningFloor &&
    e.correlation < tau &&
    e.childFirings >= rule.minFirings
  ) {
    return say("drifted_meaning", `${pair} is below ${short(tau)}${direction}`);
  }
  if (e.correlation >= tau) return say("uncertain", `${pair}${direction}; ${missing(e, rule)}`);
  if (e.correlationHigh >= tau) {
    return say("uncertain", `${pair}; its interval reaches ${short(e.correlationHigh)}`);
  }
  const nearest = e.child < 0 ? "fires with no child latent" : `best ${pair}`;
  if (isFresh(e.freshRate, rule)) {
    return say(
      "lost_by_sae",
      `${nearest}; found in ${percent(e.freshRate!)} of the fresh child SAEs`,
    );
  }
  if (isReadable(e.probe, rule)) {
    return say(
      "lost_by_sae",
      `${nearest}; a probe still reads it from the child, R² ${short(e.probe!.other)}`,
    );
  }
  return say("died", `${nearest}; ${unread(e.probe)}`);
}

/** Whether a parent latent with this verdict is an ancestor of the child latents it names. */
export function isAncestral(verdict: ParentVerdict): boolean {
  return ancestral.has(verdict);
}

/** What is known about a child latent. */
export interface ChildEvidence {
  readonly firings: number;
  /** The parent latent of highest correlation; −1 when there is none. */
  readonly parent: number;
  readonly correlation: number;
  readonly correlationHigh: number;
  readonly correlationThreshold: number;
  /** The verdict on the parent latent that it descends from; null without one. */
  readonly inherited: ParentVerdict | null;
  readonly freshRate: number | null;
  /** `own` on the child, `other` on the parent. */
  readonly probe: ProbeEvidence | null;
}

/** The verdict on a child latent: that of the parent latent it matches, related, born, uncovered, uncertain or unknown. */
export function childVerdict(e: ChildEvidence, rule: VerdictRule): Verdict<ChildVerdict> {
  const say = (verdict: ChildVerdict, detail: string): Verdict<ChildVerdict> => ({
    verdict,
    detail,
  });
  if (e.firings < rule.minFirings) {
    return say("unknown", `fires ${e.firings} times, ${rule.minFirings} are needed`);
  }
  const pair =
    e.parent < 0
      ? "fires with no parent latent"
      : `r ${short(e.correlation)} to parent ${e.parent}`;
  if (e.inherited !== null && ancestral.has(e.inherited)) return say(e.inherited, pair);
  if (e.correlation >= e.correlationThreshold) return say("related", `${pair}, not mutual`);
  if (e.correlationHigh >= e.correlationThreshold) {
    return say("uncertain", `${pair}; its interval reaches ${short(e.correlationHigh)}`);
  }
  if (e.freshRate !== null && e.freshRate < rule.freshShare) {
    return say("uncertain", `${pair}; in only ${percent(e.freshRate)} of the fresh child SAEs`);
  }
  if (isReadable(e.probe, rule)) {
    return say(
      "uncovered",
      `${pair}; a probe reads it from the parent, R² ${short(e.probe!.other)}`,
    );
  }
  return say("born", `${pair}; ${unread(e.probe)}`);
}

// A mutual match with one of these verdicts is an ancestor.
const ancestral = new Set<ParentVerdict>([
  "persisted",
  "carried_only",
  "split",
  "absorbed",
  "merged",
  "drifted_direction",
  "drifted_meaning",
]);

function agreeing(parts: PartsEvidence): string {
  return parts.freshRate === null ? "" : `; so${inFresh(parts)}`;
}

function inFresh({ freshRate }: PartsEvidence): string {
  return ` in ${percent(freshRate!)} of the fresh child SAEs`;
}

function missing(e: LatentEvidence, rule: VerdictRule): string {
  if (!e.mutual) return "the child's best match is another parent latent";
  if (e.q > rule.q) return `q ${short(e.q)} against token shifts`;
  return `strong containment ${short(e.containPc)} and ${short(e.containCp)}`;
}

function unread(probe: ProbeEvidence | null): string {
  return probe === null || Number.isNaN(probe.other - probe.random)
    ? "no probe was run"
    : "no probe reads it above the null";
}

function short(value: number): string {
  return Number.isNaN(value) ? "not measured" : value.toFixed(2);
}

function percent(share: number): string {
  return `${Math.round(share * 100)}%`;
}
