// Verdicts on all groups of the parent in one arm: function, direction and witness brought together.
// The same code judges the carried SAE, the re-initialised child and the moment before training, so
// that the rule is seen to say both yes and no.

import { benjaminiHochberg } from "./benjamini-hochberg.ts";
import type { Directions } from "./cosine.ts";
import { directions, rowCosine } from "./cosine.ts";
import { firingCount } from "./firings.ts";
import { type FreshAlone, freshAlone, withFreshWord } from "./fresh-alone.ts";
import type { FunctionMatches, FunctionShares, Side } from "./function-matches.ts";
import { type ArmInput, type Dictionary, decoderWidth } from "./input.ts";
import type { PartMatches, PartNulls } from "./part-matches.ts";
import { type ShiftNull, shiftPValue } from "./shift-null.ts";
import {
  isKept,
  isOutweighed,
  type LatentEvidence,
  type ProbeEvidence,
  parentVerdict,
  type Verdict,
  type VerdictRule,
  witnessOf,
} from "./verdicts.ts";

/** An arm with everything measured on it. */
export interface MeasuredArm {
  readonly input: ArmInput;
  readonly matches: FunctionMatches;
  readonly shares: FunctionShares;
  /** Firings of each of its latents. */
  readonly firings: Int32Array; // [nChild]
  /** Latents in pieces and merged ones; null in arms that are not asked. */
  readonly parts: PartMatches | null;
}

/** What does not depend on the arm: the parent, the thresholds, the witnesses. */
export interface Context {
  readonly parent: Side;
  readonly rule: VerdictRule;
  /** Estimated share of false calls up to which the word of fresh SAEs alone stands. */
  readonly falseShare: number;
  /** τ of correlation of each parent latent. */
  readonly tau: Float64Array; // [nParent]
  readonly shifts: ShiftNull;
  /** Share of fresh child SAEs that found the group; null without any. */
  readonly freshRate: Float64Array | null; // [nGroups]
  /** Share of fresh parent SAEs that found the group; null without any. */
  readonly parentSeedRate: Float64Array | null; // [nGroups]
  /** Whether there are enough fresh parent seeds for a rate of 0 to mean "never stable". */
  readonly judgeStability: boolean;
  readonly probe: (latent: number) => ProbeEvidence | null;
  /** Nulls of the search for parts, and shares of fresh SAEs that show the same pieces. */
  readonly parts: PartsContext;
}

/** What judges splits and merges, beside what the arm itself shows. */
export interface PartsContext {
  readonly nulls: PartNulls;
  /** Of fresh child SAEs, and of fresh parent SAEs; null without any. */
  readonly splitRate: Float64Array | null; // [nGroups]
  readonly splitSeedRate: Float64Array | null; // [nGroups]
  /** 1 where most of the fresh child SAEs that have a group in pieces have it absorbed. */
  readonly absorbed: Uint8Array; // [nGroups]
  readonly mergeRate: Float64Array | null; // [nGroups]
  readonly mergeSeedRate: Float64Array | null; // [nGroups]
}

/** p of the gain of the set that a group was found in, and its q; NaN without one. */
export interface PartTests {
  readonly p: Float64Array; // [nGroups]
  readonly q: Float64Array; // [nGroups]
}

/** The verdicts of one arm. */
export interface ArmVerdicts {
  readonly verdicts: readonly Verdict[]; // [nGroups]
  /** p of each latent's best correlation under token shifts, and its q over the eligible latents. */
  readonly p: Float64Array; // [nParent]
  readonly q: Float64Array; // [nParent]
  readonly splitTests: PartTests;
  readonly mergeTests: PartTests;
  /** What fresh SAEs alone say, and whether it stands. */
  readonly freshAlone: FreshAlone;
  /** 1 where function is all that persisting hangs on: what the bootstrap resamples. */
  readonly persistsIfFound: Uint8Array; // [nGroups]
  /** The same without asking for a witness. */
  readonly keptIfFound: Uint8Array; // [nGroups]
  /** 1 where the group's verdict is not unknown. */
  readonly known: Uint8Array; // [nGroups]
}

/** Applies the rule to every group. `word`: of the carried arm, where this is another; that one's is counted. */
export function armVerdicts(
  dictionary: Dictionary,
  arm: MeasuredArm,
  context: Context,
  word: FreshAlone | null = null,
): ArmVerdicts {
  const { parent, rule, tau } = context;
  const { groups, containPc, containCp, matches } = arm.matches;
  const mapped = mappedDecoder(dictionary, arm.input);
  const decoder = directions(arm.input.W_dec, decoderWidth(arm.input));
  const { nLatents } = parent.firings;
  const p = Float64Array.from({ length: nLatents }, (_, i) =>
    shiftPValue(context.shifts, i, matches.correlation[i]),
  );
  const q = benjaminiHochberg(p);
  const { nGroups } = parent.groups;
  const persistsIfFound = new Uint8Array(nGroups);
  const keptIfFound = new Uint8Array(nGroups);
  const known = new Uint8Array(nGroups);
  const evidence = Array.from({ length: nGroups }, (_, g): LatentEvidence => {
    const [i, child] = [groups.leader[g], groups.child[g]];
    return {
      firings: firingCount(parent.firings, i),
      seedStable:
        context.judgeStability && context.parentSeedRate !== null
          ? context.parentSeedRate[g] > 0
          : null,
      child,
      childFirings: child < 0 ? 0 : arm.firings[child],
      mutual: groups.mutual[g] === 1,
      correlation: groups.correlation[g],
      correlationHigh: arm.shares.correlationHigh[g],
      correlationThreshold: tau[i],
      q: q[i],
      containPc: containPc[g],
      containCp: containCp[g],
      cosine: mapped === null || child < 0 ? null : rowCosine(mapped, i, decoder, child),
      freshRate: context.freshRate?.[g] ?? null,
      probe: context.probe(i),
      ...partsOf(arm.parts, context.parts, g),
    };
  });
  // A group that its SAE kept is no candidate for pieces: the tests are those that remain. Whether the
  // word of fresh SAEs stands is counted on their outcome, so here it is taken to stand.
  const open = evidence.map((e) => !isKept(e, rule));
  const splitTests = splitTestsOf(arm, context, open);
  const mergeTests = mergeTestsOf(arm, context);
  const tested = evidence.map(
    (found, g): LatentEvidence => ({
      ...found,
      split: found.split && { ...found.split, q: splitTests.q[g] },
      merged: found.merged && { ...found.merged, q: mergeTests.q[g] },
    }),
  );
  const freshWord = word ?? countedWord(tested, context);
  const stands = { split: freshWord.split.stands, merged: freshWord.merged.stands };
  const verdicts = tested.map((found, g): Verdict => {
    const e = withFreshWord(found, stands);
    const verdict = parentVerdict(e, rule);
    known[g] = verdict.verdict === "unknown" ? 0 : 1;
    if (known[g] && e.mutual && !(e.q > rule.q)) {
      keptIfFound[g] = e.cosine === null || e.cosine >= rule.cosine ? 1 : 0;
      const isWitnessed = witnessOf(e.freshRate, e.probe, rule) !== null;
      if (isWitnessed && !isOutweighed(e, rule)) persistsIfFound[g] = keptIfFound[g];
    }
    return verdict;
  });
  return {
    verdicts,
    p,
    q,
    splitTests,
    mergeTests,
    freshAlone: freshWord,
    persistsIfFound,
    keptIfFound,
    known,
  };
}

function countedWord(
  evidence: readonly LatentEvidence[],
  { parentSeedRate, rule, falseShare }: Context,
): FreshAlone {
  const groups = evidence.map((found, g) => ({
    evidence: found,
    parentSeedRate: parentSeedRate?.[g] ?? null,
  }));
  return freshAlone(groups, rule, falseShare);
}

/** The evidence for pieces, its q left open and the word of fresh SAEs taken to stand. */
function partsOf(
  parts: PartMatches | null,
  { splitRate, splitSeedRate, absorbed, mergeRate, mergeSeedRate }: PartsContext,
  g: number,
): Pick<LatentEvidence, "split" | "merged"> {
  const split = parts?.split[g] ?? null;
  const merged = parts?.merged[g] ?? null;
  return {
    split: {
      set: split,
      // The carried heir may keep its direction by inertia: fresh SAEs say it where they show pieces.
      absorbed: splitRate?.[g] ? absorbed[g] === 1 : (split?.absorbed ?? false),
      q: Number.NaN,
      freshRate: splitRate?.[g] ?? null,
      seedRate: splitSeedRate?.[g] ?? null,
      alone: true,
    },
    merged: {
      set: merged,
      child: merged?.child ?? -1,
      q: Number.NaN,
      freshRate: mergeRate?.[g] ?? null,
      seedRate: mergeSeedRate?.[g] ?? null,
      alone: true,
    },
  };
}

/** One test a group that is not kept: is the gain of its pieces more than shuffled parents reach? Without a set the gain is 0. */
function splitTestsOf(
  { matches, parts }: MeasuredArm,
  context: Context,
  open: boolean[],
): PartTests {
  const { split } = context.parts.nulls;
  const p = Float64Array.from(open, (isOpen, g) =>
    isOpen && parts !== null
      ? shiftPValue(split, matches.groups.leader[g], parts.split[g]?.gain ?? 0)
      : Number.NaN,
  );
  return onlyFound(p, benjaminiHochberg(p), (g) => parts?.split[g] != null);
}

/**
 * The same for merges: one test each latent of the arm that fires often enough, whoever's heir it is. To leave out
 * those without a set would choose the family by its outcome.
 */
function mergeTestsOf({ parts, firings }: MeasuredArm, context: Context): PartTests {
  const { nulls } = context.parts;
  const gains = new Float64Array(firings.length);
  for (const merge of parts?.merged ?? []) if (merge) gains[merge.child] = merge.gain;
  const p = gains.map((gain, j) =>
    parts === null ? Number.NaN : shiftPValue(nulls.merged, j, gain),
  );
  const q = benjaminiHochberg(p);
  const childOf = (g: number): number => parts?.merged[g]?.child ?? -1;
  const ofGroups = (values: Float64Array): Float64Array =>
    Float64Array.from(
      { length: context.parent.groups.nGroups },
      (_, g) => values[childOf(g)] ?? Number.NaN,
    );
  return { p: ofGroups(p), q: ofGroups(q) };
}

function onlyFound(p: Float64Array, q: Float64Array, found: (g: number) => boolean): PartTests {
  const only = (values: Float64Array): Float64Array =>
    values.map((value, g) => (found(g) ? value : Number.NaN));
  return { p: only(p), q: only(q) };
}

/** The parent's decoder rows in an arm's frame; null without one. Errors: `internal:` for a frame of another width. */
export function mappedDecoder(parent: Dictionary, arm: ArmInput): Directions | null {
  if (arm.frame === null) return null;
  return directions(
    sized(arm.frame.decoder(parent.W_dec), parent.codes.dSae * decoderWidth(arm), arm.arm),
    decoderWidth(arm),
  );
}

/** Checks that a frame maps to the arm's width. */
export function sized(rows: Float32Array, size: number, arm: string): Float32Array {
  if (rows.length !== size) {
    throw new Error(`internal: the frame of arm ${arm} gives ${rows.length} numbers, not ${size}`);
  }
  return rows;
}

/**
 * Cosine of each parent latent's heir to where it started: the heir is the latent whose lineage names
 * it (the first, where several do), the start `start` or the mapped parent row. NaN without an heir;
 * null when the arm has no lineage or no start.
 */
export function cosineToStart(
  arm: ArmInput,
  mapped: Directions | null,
  nParent: number,
): Float64Array | null {
  if (arm.lineage === null || (arm.start === null && mapped === null)) return null;
  const now = directions(arm.W_dec, decoderWidth(arm));
  const start = arm.start === null ? null : directions(arm.start, decoderWidth(arm));
  const cosines = new Float64Array(nParent).fill(Number.NaN);
  for (let j = now.n - 1; j >= 0; j--) {
    const i = arm.lineage.parent[j];
    if (i < 0 || i >= nParent) continue;
    cosines[i] = start === null ? rowCosine(mapped!, i, now, j) : rowCosine(start, j, now, j);
  }
  return cosines;
}
