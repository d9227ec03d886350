// Persistence of the features of one SAE in another (methods.md §4–5), start to end: prepare the
// parent, draw the nulls and set the thresholds, look for the parent's latents in every arm, ask the
// witnesses, judge, and sum up. Host mathematics only; the same input and seed give the same output.

import { transposed } from "../kernels/transpose.ts";
import { resample, sequenceBlocks } from "./bootstrap.ts";
import { childFreshRate, childVerdicts } from "./child-side.ts";
import { withLevels } from "./containment.ts";
import { type Directions, directions, rowCosine, whitened } from "./cosine.ts";
import type { PersistenceDocument } from "./document.ts";
import {
  armVerdicts,
  type Context,
  type MeasuredArm,
  mappedDecoder,
  type PartsContext,
  sized,
} from "./evaluate.ts";
import { firingCount, firingsOf } from "./firings.ts";
import { reappearance } from "./fresh.ts";
import { functionMatches, functionShares, prepareSide, type Side } from "./function-matches.ts";
import {
  type ArmInput,
  type ArmRole,
  type Dictionary,
  decoderWidth,
  type PersistenceInput,
  type PersistenceOptions,
  persistenceDefaults,
  validateInput,
  writesWhereItReads,
} from "./input.ts";
import {
  mergeRate,
  mostlyAbsorbed,
  type PartContext,
  type PartNulls,
  partMatches,
  splitRate,
} from "./part-matches.ts";
import { partNull } from "./part-null.ts";
import { type PartPool, partPool } from "./part-search.ts";
import { readability } from "./readability.ts";
import { type FramedPair, type PersistenceRows, persistenceRows } from "./rows.ts";
import type { ShiftNull } from "./shift-null.ts";
import { subspaceOverlap } from "./subspace.ts";
import { summarise } from "./summary.ts";
import { longest, measureThresholds, type Thresholds } from "./thresholds.ts";

// Arms that the verdict rule is applied to; the others only count function matches.
const judgedRoles: ReadonlySet<ArmRole> = new Set(["carried", "carried-start", "reinit"]);

// Arms in which latents in pieces and merged ones are looked for: the judged SAE and its witnesses.
const searchedRoles: ReadonlySet<ArmRole> = new Set(["carried", "fresh", "fresh-parent"]);

// Share of fresh parent SAEs below which a latent counts as unstable.
const unstableBelow = 1 / 3;

/** What a comparison gives: persistence.json and the columns of persistence/<name>.arrow. */
export interface Persistence {
  readonly document: PersistenceDocument;
  readonly rows: PersistenceRows;
}

/**
 * Compares a parent's dictionary with that of its grown child under all the arms given. Errors: a
 * UsageError for dictionaries that do not fit together, values that are not finite, or activations
 * that miss rows.
 */
export async function comparePersistence(input: PersistenceInput): Promise<Persistence> {
  validateInput(input);
  const options = { ...persistenceDefaults, ...input.options };
  const { minFirings, redundancy, containment } = options;
  const carriedInput = input.arms.find(({ role }) => role === "carried")!;
  const parent = prepareSide(input.parent.codes, "parent: codes", minFirings, redundancy);
  const child = prepareSide(carriedInput.codes, codesOf(carriedInput), minFirings, redundancy);
  const mapped = mappedDecoder(input.parent, carriedInput);
  const decoder = directions(carriedInput.W_dec, decoderWidth(carriedInput));

  const thresholds = measureThresholds(
    parent,
    child,
    mapped,
    decoder,
    input.sequenceLength,
    options,
    input.rng,
  );
  const blocks = sequenceBlocks(parent.firings.nTokens, input.sequenceLength, options.blocks);
  const groupSizes = Float64Array.from(parent.groups.members, (members) => members.length);
  const resampling = resample(blocks, groupSizes, options.replicates, input.rng.fork("bootstrap"));

  const { tau } = thresholds;
  const parts = partContext(parent, child, thresholds, input, options);
  const arms: MeasuredArm[] = [];
  for (const arm of input.arms) {
    await input.pause?.();
    const firings =
      arm === carriedInput ? child.firings : withLevels(firingsOf(arm.codes, codesOf(arm)));
    const matches = functionMatches(parent, arm.codes, firings, tau, containment);
    arms.push({
      input: arm,
      matches,
      shares: functionShares(
        parent,
        firings,
        matches,
        tau,
        containment,
        resampling,
        judgedRoles.has(arm.role),
      ),
      firings: Int32Array.from({ length: firings.nLatents }, (_, j) => firingCount(firings, j)),
      parts: searchedRoles.has(arm.role)
        ? partMatches(
            parts,
            matches,
            { codes: arm.codes, firings },
            arm === carriedInput ? cosines(mapped, decoder) : armCosines(input.parent, arm),
          )
        : null,
    });
  }
  const withRole = (role: ArmRole): MeasuredArm[] => arms.filter((arm) => arm.input.role === role);
  const carried = withRole("carried")[0];

  // Neighbouring sequences are fitted or scored together, both halves spread over all the text.
  const half = blocks.blockOf.map((block) => block % 2);
  const probes =
    input.probes &&
    (await readability(
      input.probes,
      input.parent,
      carriedInput,
      Uint8Array.from(half),
      options.ridge,
    ));
  const freshParents = withRole("fresh-parent");
  const parentSeedRate = reappearance(freshParents.map(({ matches }) => matches.found));
  const context: Context = {
    parent,
    rule: { ...options, cosine: thresholds.cosine },
    falseShare: options.falseShare,
    tau: thresholds.tau,
    shifts: thresholds.shifts,
    freshRate: reappearance(withRole("fresh").map(({ matches }) => matches.found)),
    parentSeedRate,
    judgeStability: freshParents.length >= options.stabilitySeeds,
    probe: (i) => probes?.parent[i] ?? null,
    parts: partsContext(parts.nulls, carried, withRole("fresh"), freshParents),
  };
  const judged = armVerdicts(input.parent, carried, context);
  const childRate = childFreshRate(
    child,
    withRole("fresh").map(({ input: arm }) => arm),
    thresholds.correlation,
    containment,
  );
  const children = childVerdicts({
    parent,
    child,
    matches: carried.matches,
    verdicts: judged.verdicts,
    parts: carried.parts!,
    tau: thresholds.tau,
    freshRate: childRate,
    probe: (j) => probes?.child[j] ?? null,
    rule: context.rule,
    resampling,
  });

  const subspace =
    mapped &&
    parentSeedRate &&
    subspaceOverlap(
      parent,
      child,
      unstableLatents(parent, parentSeedRate),
      mapped,
      decoder,
      input.rng.fork("subspace"),
    );
  const framed = mapped && { parent: mapped, child: decoder };
  // The covariance is that of the activations read.
  const canWhiten = writesWhereItReads(input.parent) && writesWhereItReads(carriedInput);
  return {
    document: summarise({
      input,
      options,
      arms,
      context,
      thresholds,
      judged,
      children,
      subspace,
      probes,
      resampling,
      rng: input.rng.fork("seeds"),
    }),
    rows: persistenceRows({
      parent,
      child,
      matches: carried.matches,
      verdicts: judged.verdicts,
      childVerdicts: children,
      parts: {
        found: carried.parts!,
        context: context.parts,
        splitTests: judged.splitTests,
        mergeTests: judged.mergeTests,
      },
      minFirings,
      decoder: framed,
      whitened:
        framed && probes && canWhiten
          ? whitenedPair(framed, probes.covariance, options.ridge)
          : null,
      encoder: encoderPair(input.parent, carriedInput),
      lineage: { parent: input.parent.lineage, child: carriedInput.lineage },
      shifts: thresholds.shifts,
      cosineNull: thresholds.cosineNull,
      interval: { low: carried.shares.correlationLow, high: carried.shares.correlationHigh },
      p: judged.p,
      q: judged.q,
      freshRate: { parent: context.freshRate, child: childRate },
      parentSeedRate: context.parentSeedRate,
      probe: { parent: probes?.parent ?? null, child: probes?.child ?? null },
      beta: probes?.beta ?? null,
      subspace,
    }),
  };
}

/** The search for pieces with its nulls, which are measured on the carried arm. */
function partContext(
  parent: Side,
  child: Side,
  { tau, cosine }: Thresholds,
  { sequenceLength, rng }: PersistenceInput,
  options: PersistenceOptions,
): PartContext {
  const parentPool = partPool(parent.codes, parent.firings);
  const measured = (wholes: Side, pool: PartPool, label: string): ShiftNull =>
    partNull(wholes.firings, wholes.eligible, pool, options, rng.fork(label), {
      draws: Math.max(
        options.partDraws,
        Math.ceil(wholes.eligible.reduce((sum, is) => sum + is, 0) / 4),
      ),
      sequenceLength: longest(sequenceLength),
    });
  const nulls = {
    split: measured(parent, partPool(child.codes, child.firings), "split-null"),
    merged: measured(child, parentPool, "merge-null"),
  };
  return { parent, parentPool, rule: options, nulls, gainFloor: options.gainFloor, tau, cosine };
}

/** Eligible latents that fewer than a third of the fresh parent SAEs found. */
function unstableLatents({ groups }: Side, seedRate: Float64Array): Uint8Array {
  return Uint8Array.from(groups.of, (g) => (g >= 0 && seedRate[g] < unstableBelow ? 1 : 0));
}

function partsContext(
  nulls: PartNulls,
  carried: MeasuredArm,
  fresh: readonly MeasuredArm[],
  freshParents: readonly MeasuredArm[],
): PartsContext {
  const searched = (arms: readonly MeasuredArm[]) =>
    arms.map(({ parts, matches }) => ({ parts: parts!, matches }));
  const own = carried.parts!.merged;
  return {
    nulls,
    splitRate: splitRate(searched(fresh)),
    splitSeedRate: splitRate(searched(freshParents)),
    absorbed: mostlyAbsorbed(searched(fresh), own.length),
    mergeRate: mergeRate(searched(fresh), own),
    mergeSeedRate: mergeRate(searched(freshParents), own),
  };
}

/** Cosines of mapped parent directions with those of an arm; null where no map leads there. */
function cosines(
  mapped: Directions | null,
  decoder: Directions,
): ((i: number, j: number) => number) | null {
  return mapped && ((i, j) => rowCosine(mapped, i, decoder, j));
}

function armCosines(parent: Dictionary, arm: ArmInput): ReturnType<typeof cosines> {
  return cosines(mappedDecoder(parent, arm), directions(arm.W_dec, decoderWidth(arm)));
}

function whitenedPair(pair: FramedPair, covariance: Float64Array, shrinkage: number): FramedPair {
  const white = (vectors: Directions): Directions => whitened(vectors, covariance, shrinkage);
  return { parent: white(pair.parent), child: white(pair.child) };
}

function encoderPair(parent: Dictionary, arm: ArmInput): FramedPair | null {
  if (!arm.frame?.encoder) return null;
  const rows = transposed(parent.W_enc, parent.d_in, parent.codes.dSae);
  const mapped = sized(arm.frame.encoder(rows), parent.codes.dSae * arm.d_in, arm.arm);
  return {
    parent: directions(mapped, arm.d_in),
    child: directions(transposed(arm.W_enc, arm.d_in, arm.codes.dSae), arm.d_in),
  };
}

function codesOf({ arm }: ArmInput): string {
  return `arm ${arm}: codes`;
}
