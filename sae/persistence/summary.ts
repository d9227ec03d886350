// persistence.json from what was measured: counts of verdicts, shares by arm, the 2×2 and its
// estimands, inertia, histograms and warnings.
import type { Rng } from "../../src/engine/index.ts";
import { meanOverSeeds, type Resampling, type Sample, shareOf } from "./bootstrap.ts";
import type {
  ArmDocument,
  CellDocument,
  ContinuationPoint,
  PersistenceDocument,
  ThresholdDocument,
  UnstableDocument,
  VerdictCounts,
} from "./document.ts";
import {
  type CellName,
  type CellSample,
  cellNames,
  type Estimate,
  estimands,
  estimate,
} from "./estimands.ts";
import {
  type ArmVerdicts,
  armVerdicts,
  type Context,
  cosineToStart,
  type MeasuredArm,
  mappedDecoder,
} from "./evaluate.ts";
import type { Side } from "./function-matches.ts";
import { histogram, unitEdges } from "./histogram.ts";
import type { ArmInput, ArmRole, PersistenceInput, PersistenceOptions } from "./input.ts";
import { perturbAndReturn } from "./perturb.ts";
import { type ParentProbes, probesDocument } from "./probe-summary.ts";
import { quantile } from "./quantile.ts";
import type { ShiftNull } from "./shift-null.ts";
import type { SubspaceOverlap } from "./subspace.ts";
import type { Thresholds } from "./thresholds.ts";
import { tokensRatio } from "./tokens-ratio.ts";
import type { ChildVerdict, Verdict } from "./verdicts.ts";
import { warningsOn } from "./warnings.ts";

const cellRoles: Readonly<Record<CellName, ArmRole>> = {
  CG: "carried",
  FG: "fresh",
  CS: "carried-scratch",
  FS: "scratch",
  CP: "same-model",
  FP: "fresh-parent",
};

/** What the summary is made from. */
export interface Measured {
  readonly input: PersistenceInput;
  readonly options: PersistenceOptions;
  readonly arms: readonly MeasuredArm[];
  readonly context: Context;
  readonly thresholds: Thresholds;
  /** Verdicts of the carried arm. */
  readonly judged: ArmVerdicts;
  readonly children: readonly Verdict<ChildVerdict>[]; // [nChild]
  readonly subspace: SubspaceOverlap | null;
  readonly probes: ParentProbes | null;
  readonly resampling: Resampling;
  readonly rng: Rng;
}

/** Builds the document. */
export function summarise(measured: Measured): PersistenceDocument {
  const { input, options, arms, context, thresholds, judged, children, resampling } = measured;
  const { parent } = context;
  // A single block of sequences has no spread: no interval then, and no ratio.
  const hasInterval = resampling.nBlocks > 1;
  const withRole = (role: ArmRole): MeasuredArm[] => arms.filter((arm) => arm.input.role === role);
  const carried = withRole("carried")[0];
  const eligibleLatents = Array.from(parent.eligible.keys()).filter(
    (i) => parent.eligible[i] === 1,
  );

  const overSeeds = (role: ArmRole, sample: (arm: MeasuredArm) => Sample): Sample | null => {
    const seeds = withRole(role).map(sample);
    return seeds.length === 0 ? null : meanOverSeeds(seeds, measured.rng.fork(role));
  };
  const cells = byCell((name): CellSample | null => {
    const share = overSeeds(cellRoles[name], ({ shares }) => shares.function);
    const match = overSeeds(cellRoles[name], ({ shares }) => shares.match);
    return share && match && { function: share, match };
  });
  const sums = estimands(cells, hasInterval);

  /** Share of known latents that pass `mask` and are a function match in the arm. */
  const judgedShare = (role: ArmRole, mask: (verdicts: ArmVerdicts) => Uint8Array): Estimate =>
    estimate(
      overSeeds(role, (arm) => {
        const verdicts =
          arm === carried
            ? judged
            : armVerdicts(input.parent, arm, measured.context, judged.freshAlone);
        const allowed = mask(verdicts);
        const { replicates } = resampling;
        return shareOf(
          allowed.map((value, g) => value & arm.matches.found[g]),
          arm.shares.foundIn.map((value, at) => value & allowed[Math.floor(at / replicates)]),
          resampling,
          verdicts.known,
        );
      }),
      hasInterval,
    );

  const toStart = (measuredArms: readonly MeasuredArm[]): Float64Array =>
    concat(
      measuredArms.flatMap(({ input: arm }) => {
        const mapped = mappedDecoder(input.parent, arm);
        const cosines = cosineToStart(arm, mapped, parent.firings.nLatents);
        return cosines === null ? [] : [Float64Array.from(eligibleLatents, (i) => cosines[i])];
      }),
    );
  const inertia = (measuredArms: readonly MeasuredArm[]): number | null => {
    const all = toStart(measuredArms);
    return all.length === 0
      ? null
      : all.filter((cosine) => cosine >= thresholds.cosine).length / all.length;
  };
  const bestCorrelations = (role: ArmRole): Float64Array =>
    concat(
      withRole(role).map(({ matches: { matches } }) =>
        Float64Array.from(eligibleLatents, (i) => matches.correlation[i * matches.top]),
      ),
    );

  const counts = verdictCounts(parent, judged, children);
  const partial = {
    format: "sae-carry/compare",
    version: 1,
    stage: input.stage,
    name: input.name,
    tokens: parent.firings.nTokens,
    arms: arms.map((arm) => armDocument(arm, carried.input, options.matchedWithin)),
    thresholds: {
      cosine: {
        floor: options.cosineFloor,
        null_p99: finiteOrNull(thresholds.cosineNull),
        used: thresholds.cosine,
      },
      correlation: {
        floor: options.correlationFloor,
        null_p99: finiteOrNull(thresholds.correlationNull),
        used: thresholds.correlation,
      },
      containment: options.containment,
      gain: {
        split: gainDocument(context.parts.nulls.split, options.gainFloor),
        merged: gainDocument(context.parts.nulls.merged, options.gainFloor),
      },
    },
    counts,
    fresh_alone: judged.freshAlone,
    eligible: parent.firings.nLatents - counts.unknown,
    persisted: judgedShare("carried", ({ persistsIfFound }) => persistsIfFound),
    reinit_persisted: judgedShare("reinit", ({ persistsIfFound }) => persistsIfFound),
    start_kept: judgedShare("carried-start", ({ keptIfFound }) => keptIfFound),
    inertia: {
      carried: inertia(withRole("carried")),
      carried_scratch: inertia(withRole("carried-scratch")),
      reinit: inertia(withRole("reinit")),
      rotated: inertia(withRole("rotated")),
    },
    perturb_and_return: perturbAndReturn(
      input.arms,
      mappedDecoder(input.parent, carried.input),
      parent.eligible,
    ),
    continuation: continuation(arms, hasInterval, (arm) => inertia([arm])),
    cells: byCell((name) => cellDocument(cells[name], hasInterval)),
    corrected: sums.corrected,
    inheritance: sums.inheritance,
    carry_bonus: sums.carry_bonus,
    tokens_ratio: input.curves && tokensRatio(input.curves.carried, input.curves.fresh),
    unstable: unstableDocument(measured.subspace),
    probes:
      measured.probes &&
      probesDocument(measured.probes, parent.eligible, {
        margin: options.probeMargin,
        share: options.probeShare,
      }),
    off_image: input.off_image,
    copy_spread: input.copy_spread,
    histograms: {
      edges: unitEdges,
      correlation: {
        carried: histogram(bestCorrelations("carried"), unitEdges),
        fresh: histogram(bestCorrelations("fresh"), unitEdges),
        null: histogram(concat(thresholds.shifts.bins.map(({ maxima }) => maxima)), unitEdges),
      },
      cosine: {
        carried: histogram(toStart(withRole("carried")), unitEdges),
        reinit: histogram(toStart(withRole("reinit")), unitEdges),
        null: histogram(thresholds.cosineDraws, unitEdges),
      },
    },
    ...(input.curves && { curves: input.curves }),
  } as const satisfies Omit<PersistenceDocument, "warnings">;
  return { ...partial, warnings: [...warningsOn(partial, input, options), ...sums.warnings] };
}

function unstableDocument(subspace: SubspaceOverlap | null): UnstableDocument | null {
  const overlaps = subspace?.overlap.filter((value) => !Number.isNaN(value)) ?? [];
  if (overlaps.length === 0) return null;
  return {
    latents: overlaps.length,
    overlap: quantile(overlaps, 0.5),
    null_p99: finiteOrNull(subspace!.null99),
  };
}

/** The largest over the firing-frequency bins. */
function gainDocument({ bins }: ShiftNull, floor: number): ThresholdDocument {
  const null99 = bins.length === 0 ? Number.NaN : Math.max(...bins.map(({ p99 }) => p99));
  return { floor, null_p99: finiteOrNull(null99), used: Math.max(floor, null99 || 0) };
}

function verdictCounts(
  parent: Side,
  { verdicts, known }: ArmVerdicts,
  children: readonly Verdict<ChildVerdict>[],
): VerdictCounts {
  const { nLatents } = parent.firings;
  let eligible = 0;
  const count = { ...noVerdicts, unknown: 0 };
  verdicts.forEach(({ verdict }, g) => {
    const size = parent.groups.members[g].length;
    if (known[g] === 1) eligible += size;
    if (verdict !== "unknown") count[verdict] += size;
  });
  return {
    ...count,
    unknown: nLatents - eligible,
    born: children.filter(({ verdict }) => verdict === "born").length,
    uncovered: children.filter(({ verdict }) => verdict === "uncovered").length,
  };
}

const noVerdicts = {
  persisted: 0,
  carried_only: 0,
  split: 0,
  absorbed: 0,
  merged: 0,
  drifted_direction: 0,
  drifted_meaning: 0,
  uncertain: 0,
  died: 0,
  lost_by_sae: 0,
};

function armDocument(
  { input, shares }: MeasuredArm,
  carried: ArmInput,
  matchedWithin: number,
): ArmDocument {
  const { arm, role, sae, seed, lr = null, l0, fvu, ce_loss_score_zero } = input;
  const near = (a: number, b: number): boolean => Math.abs(a - b) <= matchedWithin * Math.abs(b);
  return {
    arm,
    role,
    sae,
    seed,
    lr,
    l0,
    fvu,
    ce_loss_score_zero,
    matched:
      l0 === null || fvu === null || carried.l0 === null || carried.fvu === null
        ? null
        : near(l0, carried.l0) && near(fvu, carried.fvu),
    function: finiteOrNull(shares.function.value),
    match: finiteOrNull(shares.match.value),
  };
}

function cellDocument(cell: CellSample | null, hasInterval: boolean): CellDocument | null {
  if (cell === null) return null;
  const { value, ci } = estimate(cell.function, hasInterval);
  return { function: value, match: finiteOrNull(cell.match.value), ci };
}

function byCell<Value>(of: (name: CellName) => Value): Record<CellName, Value> {
  return Object.fromEntries(cellNames.map((name) => [name, of(name)])) as Record<CellName, Value>;
}

function concat(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/** By times trained, shortest first: the frozen arm, the carried one, and those that went on. */
function continuation(
  arms: readonly MeasuredArm[],
  hasInterval: boolean,
  toStart: (arm: MeasuredArm) => number | null,
): ContinuationPoint[] | null {
  const times = ({ input: { role, times: own } }: MeasuredArm): number | null =>
    role === "frozen" ? 0 : role === "carried" ? 1 : role === "continued" ? (own ?? null) : null;
  const points = arms.flatMap((arm) => {
    const trained = times(arm);
    if (trained === null) return [];
    const { value, ci } = estimate(arm.shares.function, hasInterval);
    const { l0, fvu } = arm.input;
    const match = finiteOrNull(arm.shares.match.value);
    return [{ times: trained, function: value, match, ci, to_start: toStart(arm), l0, fvu }];
  });
  if (!arms.some(({ input: { role } }) => role === "continued")) return null;
  return points.sort((a, b) => a.times - b.times);
}
