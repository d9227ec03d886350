// The table of persistence/<name>.arrow: one row for each latent of the parent, then one for each of
// the child (the carried SAE). A member of a redundancy group has its own figures against the group's
// child and shares the group's verdict. NaN in a float column = not measured (stored as null).
import { pairOverlap } from "./containment.ts";
import { type Directions, rowCosine } from "./cosine.ts";
import type { PartsContext, PartTests } from "./evaluate.ts";
import { firingCount } from "./firings.ts";
import type { FunctionMatches, Side } from "./function-matches.ts";
import type { LatentLineage } from "./input.ts";
import type { PartMatches } from "./part-matches.ts";
import { gainThreshold } from "./part-null.ts";
import type { ShiftNull } from "./shift-null.ts";
import type { SubspaceOverlap } from "./subspace.ts";
import type { ProbeEvidence, Verdict } from "./verdicts.ts";

/** The columns, all of one length. */
export interface PersistenceRows {
  readonly side: readonly ("parent" | "child")[];
  readonly latent: Int32Array;
  readonly verdict: readonly string[];
  readonly verdict_detail: readonly string[];
  /** The latents of the other side that the row's figures are about. */
  readonly matches: readonly (readonly number[])[];
  /** Empty where the SAE has no lineage. */
  readonly lineage_stage: readonly string[];
  readonly lineage_parent: readonly (number | null)[];
  /** Firings of the pair; 0 for a side that has no partner. */
  readonly firings_parent: Int32Array;
  readonly firings_child: Int32Array;
  readonly cos: Float32Array;
  readonly cos_whitened: Float32Array;
  readonly enc_cos: Float32Array;
  readonly corr: Float32Array;
  /** 95% interval of the leader's correlation (parent rows). */
  readonly corr_lo: Float32Array;
  readonly corr_hi: Float32Array;
  readonly jaccard: Float32Array;
  readonly wjaccard: Float32Array;
  readonly contain_pc: Float32Array;
  readonly contain_cp: Float32Array;
  /** Latent scaling, child over parent (parent rows). */
  readonly beta: Float32Array;
  /** Of ablation effects (ablation.ts), where they were measured: that takes running the models, so none is filled here. */
  readonly effect_cos: Float32Array;
  readonly effect_ratio: Float32Array;
  readonly null_cos_p99: Float32Array;
  readonly null_corr_p99: Float32Array;
  readonly p: Float32Array;
  readonly q: Float32Array;
  readonly fresh_rate: Float32Array;
  readonly parent_seed_rate: Float32Array;
  /** Held-out R² of the probe on the other side's model, on its own, and on a random-weights one. */
  readonly probe_r2: Float32Array;
  readonly probe_own: Float32Array;
  readonly probe_random: Float32Array;
  /** Of an unstable latent's span with the child's: mean cos² of the principal angles. */
  readonly subspace: Float32Array;
  readonly null_subspace_p99: Float32Array;
  /** Pieces of the latent, or the set it merged with: R² of the non-negative fit, its gain over the best single latent, the share of strong firings covered. */
  readonly set_r2: Float32Array;
  readonly set_gain: Float32Array;
  readonly set_coverage: Float32Array;
  /** Of the gain against shuffled wholes. */
  readonly null_gain_p99: Float32Array;
  readonly set_p: Float32Array;
  readonly set_q: Float32Array;
  /** Share of fresh child and of fresh parent SAEs that show the same. */
  readonly set_fresh_rate: Float32Array;
  readonly set_seed_rate: Float32Array;
}

/** A pair of directions in one frame; null = not measured. */
export interface FramedPair {
  readonly parent: Directions;
  readonly child: Directions;
}

/** What the rows are filled from. */
export interface RowsInput {
  readonly parent: Side;
  readonly child: Side;
  readonly matches: FunctionMatches;
  readonly verdicts: readonly Verdict[]; // [parent groups]
  readonly childVerdicts: readonly Verdict<string>[]; // [nChild]
  /** Latents in pieces and merged ones, by parent group. */
  readonly parts: {
    readonly found: PartMatches;
    readonly context: PartsContext;
    readonly splitTests: PartTests;
    readonly mergeTests: PartTests;
  };
  readonly minFirings: number;
  readonly decoder: FramedPair | null;
  readonly whitened: FramedPair | null;
  readonly encoder: FramedPair | null;
  readonly lineage: { readonly parent: LatentLineage | null; readonly child: LatentLineage | null };
  readonly shifts: ShiftNull;
  readonly cosineNull: number;
  readonly p: Float64Array; // [nParent]
  readonly q: Float64Array; // [nParent]
  /** By parent group, and by child latent. */
  readonly freshRate: { readonly parent: Float64Array | null; readonly child: Float64Array | null };
  readonly parentSeedRate: Float64Array | null; // [parent groups]
  readonly probe: {
    readonly parent: readonly ProbeEvidence[] | null;
    readonly child: readonly ProbeEvidence[] | null;
  };
  readonly beta: Float64Array | null; // [nParent]
  readonly subspace: SubspaceOverlap | null;
  /** 95% interval of each group's correlation. */
  readonly interval: { readonly low: Float64Array; readonly high: Float64Array };
}

/** A column of figures. */
export type FloatColumn = {
  [Name in keyof PersistenceRows]: PersistenceRows[Name] extends Float32Array ? Name : never;
}[keyof PersistenceRows];

/** The columns that may hold nulls, in the order of the file. */
export const floatColumns: readonly FloatColumn[] = [
  "cos",
  "cos_whitened",
  "enc_cos",
  "corr",
  "corr_lo",
  "corr_hi",
  "jaccard",
  "wjaccard",
  "contain_pc",
  "contain_cp",
  "beta",
  "effect_cos",
  "effect_ratio",
  "null_cos_p99",
  "null_corr_p99",
  "p",
  "q",
  "fresh_rate",
  "parent_seed_rate",
  "probe_r2",
  "probe_own",
  "probe_random",
  "subspace",
  "null_subspace_p99",
  "set_r2",
  "set_gain",
  "set_coverage",
  "null_gain_p99",
  "set_p",
  "set_q",
  "set_fresh_rate",
  "set_seed_rate",
];

/** Fills the table. */
export function persistenceRows(input: RowsInput): PersistenceRows {
  const { parent, child, matches, verdicts } = input;
  const nParent = parent.firings.nLatents;
  const nChild = child.firings.nLatents;
  const n = nParent + nChild;
  const floats = Object.fromEntries(
    floatColumns.map((name) => [name, new Float32Array(n).fill(Number.NaN)]),
  ) as Record<FloatColumn, Float32Array>;
  const side: ("parent" | "child")[] = [];
  const latent = new Int32Array(n);
  const verdict: string[] = [];
  const detail: string[] = [];
  const partners: number[][] = [];
  const stage: string[] = [];
  const ancestor: (number | null)[] = [];
  const firingsParent = new Int32Array(n);
  const firingsChild = new Int32Array(n);

  const addPair = (row: number, i: number, j: number): void => {
    if (i >= 0) firingsParent[row] = firingCount(parent.firings, i);
    if (j >= 0) firingsChild[row] = firingCount(child.firings, j);
    if (i < 0 || j < 0) return;
    const overlap = pairOverlap(parent.firings, i, child.firings, j);
    floats.corr[row] = overlap.correlation;
    floats.jaccard[row] = overlap.jaccard;
    floats.wjaccard[row] = overlap.wjaccard;
    floats.contain_pc[row] = overlap.containPc;
    floats.contain_cp[row] = overlap.containCp;
    floats.cos[row] = cosineOf(input.decoder, i, j);
    floats.cos_whitened[row] = cosineOf(input.whitened, i, j);
    floats.enc_cos[row] = cosineOf(input.encoder, i, j);
    if (input.decoder !== null) floats.null_cos_p99[row] = input.cosineNull;
  };
  const addLineage = (lineage: LatentLineage | null, i: number): void => {
    stage.push(lineage?.stage[i] ?? "");
    ancestor.push(lineage === null || lineage.parent[i] < 0 ? null : lineage.parent[i]);
  };

  for (let i = 0; i < nParent; i++) {
    const g = parent.groups.of[i];
    const all = g < 0 ? [matches.matches.child[i * matches.matches.top]] : partnersOf(input, g);
    side.push("parent");
    latent[i] = i;
    partners.push(all.filter((j) => j >= 0));
    addPair(i, i, all[0]);
    addLineage(input.lineage.parent, i);
    if (g < 0) {
      verdict.push("unknown");
      detail.push(`fires ${firingsParent[i]} times, ${input.minFirings} are needed`);
      continue;
    }
    const members = parent.groups.members[g];
    verdict.push(verdicts[g].verdict);
    detail.push(
      members.length === 1
        ? verdicts[g].detail
        : `one of ${members.length} redundant latents, judged by ${matches.groups.leader[g]}: ${verdicts[g].detail}`,
    );
    const bin = input.shifts.binOf[i];
    if (bin >= 0) floats.null_corr_p99[i] = input.shifts.bins[bin].p99;
    floats.p[i] = input.p[i];
    floats.q[i] = input.q[i];
    floats.fresh_rate[i] = input.freshRate.parent?.[g] ?? Number.NaN;
    floats.parent_seed_rate[i] = input.parentSeedRate?.[g] ?? Number.NaN;
    addProbe(floats, i, input.probe.parent?.[i]);
    floats.corr_lo[i] = input.interval.low[g];
    floats.corr_hi[i] = input.interval.high[g];
    floats.beta[i] = input.beta?.[i] ?? Number.NaN;
    if (input.subspace && !Number.isNaN(input.subspace.overlap[i])) {
      floats.subspace[i] = input.subspace.overlap[i];
      floats.null_subspace_p99[i] = input.subspace.null99;
    }
    addParts(floats, i, g, input);
  }
  const origins = originsOf(input);
  for (let j = 0; j < nChild; j++) {
    const row = nParent + j;
    const all = origins.get(j) ?? [matches.matches.relative[j]];
    side.push("child");
    latent[row] = j;
    partners.push(all.filter((i) => i >= 0));
    addPair(row, all[0], j);
    addLineage(input.lineage.child, j);
    verdict.push(input.childVerdicts[j].verdict);
    detail.push(input.childVerdicts[j].detail);
    floats.fresh_rate[row] = input.freshRate.child?.[j] ?? Number.NaN;
    addProbe(floats, row, input.probe.child?.[j]);
  }
  return {
    side,
    latent,
    verdict,
    verdict_detail: detail,
    matches: partners,
    lineage_stage: stage,
    lineage_parent: ancestor,
    firings_parent: firingsParent,
    firings_child: firingsChild,
    ...floats,
  };
}

function addProbe(
  floats: Record<FloatColumn, Float32Array>,
  row: number,
  probe: ProbeEvidence | undefined,
): void {
  floats.probe_r2[row] = probe?.other ?? Number.NaN;
  floats.probe_own[row] = probe?.own ?? Number.NaN;
  floats.probe_random[row] = probe?.random ?? Number.NaN;
}

/** The latents of the arm that a group's row is about, the one its figures are about first. */
function partnersOf({ matches, verdicts, parts }: RowsInput, g: number): readonly number[] {
  const { verdict } = verdicts[g];
  if (verdict === "split" || verdict === "absorbed") {
    const set = parts.found.split[g];
    if (set) return set.members;
  }
  if (verdict === "merged" && parts.found.merged[g]) return [parts.found.merged[g].child];
  return [matches.groups.child[g]];
}

/** Parent latents of each child latent that is a piece of one, or that several merged into. */
function originsOf({ matches, childVerdicts, parts, verdicts }: RowsInput): Map<number, number[]> {
  const origins = new Map<number, number[]>();
  const add = (j: number, i: number, verdict: string): void => {
    if (childVerdicts[j].verdict === verdict) origins.set(j, [...(origins.get(j) ?? []), i]);
  };
  verdicts.forEach(({ verdict }, g) => {
    const leader = matches.groups.leader[g];
    if (verdict === "merged" && parts.found.merged[g]) {
      add(parts.found.merged[g].child, leader, verdict);
    }
    if (verdict === "split" || verdict === "absorbed") {
      for (const j of parts.found.split[g]?.members ?? []) add(j, leader, verdict);
    }
  });
  return origins;
}

/** The evidence for pieces of group g: of a merge where that is the verdict, of a split otherwise. */
function addParts(
  floats: Record<FloatColumn, Float32Array>,
  row: number,
  g: number,
  {
    parts: { found, context, splitTests, mergeTests },
    parent,
    child,
    matches,
    verdicts,
  }: RowsInput,
): void {
  const isMerged = verdicts[g].verdict === "merged";
  const set = isMerged ? found.merged[g] : found.split[g];
  const tests = isMerged ? mergeTests : splitTests;
  const whole = isMerged
    ? firingCount(child.firings, found.merged[g]?.child ?? matches.groups.child[g])
    : firingCount(parent.firings, matches.groups.leader[g]);
  const nulls = isMerged ? context.nulls.merged : context.nulls.split;
  floats.set_r2[row] = set?.r2 ?? Number.NaN;
  floats.set_gain[row] = set?.gain ?? Number.NaN;
  floats.set_coverage[row] = set?.coverage ?? Number.NaN;
  floats.null_gain_p99[row] = gainThreshold(nulls, whole, 0);
  floats.set_p[row] = tests.p[g];
  floats.set_q[row] = tests.q[g];
  const fresh = isMerged ? context.mergeRate : context.splitRate;
  const seeds = isMerged ? context.mergeSeedRate : context.splitSeedRate;
  floats.set_fresh_rate[row] = fresh?.[g] ?? Number.NaN;
  floats.set_seed_rate[row] = seeds?.[g] ?? Number.NaN;
}

function cosineOf(pair: FramedPair | null, i: number, j: number): number {
  return pair === null ? Number.NaN : rowCosine(pair.parent, i, pair.child, j);
}
