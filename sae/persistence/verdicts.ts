// The verdict on each latent, in the order of methods.md §4; the first that applies is given.
//   parent side: unknown, persisted or carried_only, (split, absorbed, merged), drifted_direction,
//   drifted_meaning, uncertain, lost_by_sae or died; child side: unknown, inherited, born, uncovered.
// Match = mutual argmax of correlation. Function = correlation ≥ τ and strong containment ≥ its
// threshold both ways. Each verdict comes with the evidence in words.
// Split, absorbed and merged are not computed yet: they belong between persisted and drifted, and
// until then such latents are uncertain, drifted or died.

/** Verdicts a parent latent can get, in the order of the rule. */
export const parentVerdicts = [
  "unknown",
  "persisted",
  "carried_only",
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
  if (freshRate !== null && freshRate >= rule.freshShare) {
    return `found in ${percent(freshRate)} of the fresh child SAEs`;
  }
  if (isReadable(probe, rule) && probe!.other >= rule.probeShare * probe!.own) {
    return `probe R² ${short(probe!.other)} in the child, ${short(probe!.own)} in the parent, ${short(probe!.random)} on random weights`;
  }
  return null;
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
  if (e.mutual && functions && aligned) {
    const witness = witnessOf(e.freshRate, e.probe, rule);
    return witness === null
      ? say("carried_only", `${pair}${direction}; no witness outside the carried SAE`)
      : say("persisted", `${pair}${direction}; ${witness}`);
  }
  if (e.mutual && functions) {
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
  if (isReadable(e.probe, rule)) {
    return say(
      "lost_by_sae",
      `${nearest}; a probe still reads it from the child, R² ${short(e.probe!.other)}`,
    );
  }
  return say("died", `${nearest}; ${unread(e.probe)}`);
}

/** What is known about a child latent. */
export interface ChildEvidence {
  readonly firings: number;
  /** The parent latent of highest correlation; −1 when there is none. */
  readonly parent: number;
  readonly correlation: number;
  readonly correlationHigh: number;
  readonly correlationThreshold: number;
  /** The verdict on the parent latent whose mutual match it is; null when it is nobody's. */
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
  "drifted_direction",
  "drifted_meaning",
]);

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
