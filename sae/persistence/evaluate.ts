// Verdicts on all groups of the parent in one arm: function, direction and witness brought together.
// The same code judges the carried SAE, the re-initialised child and the moment before training, so
// that the rule is seen to say both yes and no.

import { benjaminiHochberg } from "./benjamini-hochberg.ts";
import type { Directions } from "./cosine.ts";
import { directions, rowCosine } from "./cosine.ts";
import { firingCount } from "./firings.ts";
import type { FunctionMatches, FunctionShares, Side } from "./function-matches.ts";
import type { ArmInput, Dictionary } from "./input.ts";
import { type ShiftNull, shiftPValue } from "./shift-null.ts";
import {
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
}

/** What does not depend on the arm: the parent, the thresholds, the witnesses. */
export interface Context {
  readonly parent: Side;
  readonly rule: VerdictRule;
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
}

/** The verdicts of one arm. */
export interface ArmVerdicts {
  readonly verdicts: readonly Verdict[]; // [nGroups]
  /** p of each latent's best correlation under token shifts, and its q over the eligible latents. */
  readonly p: Float64Array; // [nParent]
  readonly q: Float64Array; // [nParent]
  /** 1 where function is all that persisting hangs on: what the bootstrap resamples. */
  readonly persistsIfFound: Uint8Array; // [nGroups]
  /** The same without asking for a witness. */
  readonly keptIfFound: Uint8Array; // [nGroups]
  /** 1 where the group's verdict is not unknown. */
  readonly known: Uint8Array; // [nGroups]
  /** The parent's decoder in this arm's frame, and the arm's own; null without a frame. */
  readonly mapped: Directions | null; // [nParent, D]
  readonly decoder: Directions; // [nChild, D]
}

/** Applies the rule to every group. */
export function armVerdicts(
  dictionary: Dictionary,
  arm: MeasuredArm,
  context: Context,
): ArmVerdicts {
  const { parent, rule, tau } = context;
  const { groups, containPc, containCp, matches } = arm.matches;
  const mapped = mappedDecoder(dictionary, arm.input);
  const decoder = directions(arm.input.W_dec, arm.input.d_in);
  const { nLatents } = parent.firings;
  const p = Float64Array.from({ length: nLatents }, (_, i) =>
    shiftPValue(context.shifts, i, matches.correlation[i]),
  );
  const q = benjaminiHochberg(p);
  const { nGroups } = parent.groups;
  const persistsIfFound = new Uint8Array(nGroups);
  const keptIfFound = new Uint8Array(nGroups);
  const known = new Uint8Array(nGroups);
  const verdicts = Array.from({ length: nGroups }, (_, g): Verdict => {
    const [i, child] = [groups.leader[g], groups.child[g]];
    const cosine = mapped === null || child < 0 ? null : rowCosine(mapped, i, decoder, child);
    const freshRate = context.freshRate?.[g] ?? null;
    const probe = context.probe(i);
    const verdict = parentVerdict(
      {
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
        cosine,
        freshRate,
        probe,
      },
      rule,
    );
    known[g] = verdict.verdict === "unknown" ? 0 : 1;
    if (known[g] && groups.mutual[g] && !(q[i] > rule.q)) {
      keptIfFound[g] = cosine === null || cosine >= rule.cosine ? 1 : 0;
      if (witnessOf(freshRate, probe, rule) !== null) persistsIfFound[g] = keptIfFound[g];
    }
    return verdict;
  });
  return { verdicts, p, q, persistsIfFound, keptIfFound, known, mapped, decoder };
}

/** The parent's decoder rows in an arm's frame; null without one. Errors: `internal:` for a frame of another width. */
export function mappedDecoder(parent: Dictionary, arm: ArmInput): Directions | null {
  if (arm.frame === null) return null;
  return directions(
    sized(arm.frame.decoder(parent.W_dec), parent.codes.dSae * arm.d_in, arm.arm),
    arm.d_in,
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
  const now = directions(arm.W_dec, arm.d_in);
  const start = arm.start === null ? null : directions(arm.start, arm.d_in);
  const cosines = new Float64Array(nParent).fill(Number.NaN);
  for (let j = now.n - 1; j >= 0; j--) {
    const i = arm.lineage.parent[j];
    if (i < 0 || i >= nParent) continue;
    cosines[i] = start === null ? rowCosine(mapped!, i, now, j) : rowCosine(start, j, now, j);
  }
  return cosines;
}
