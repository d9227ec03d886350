/**
 * @file One piece of the planted-truth study: a world, its dictionaries, the verdicts of the project's own rule and of
 * the field's usual ones, each as a confusion matrix of what was planted and what was said. Same options, same record.
 */
import { createRng } from "../../src/engine/index.ts";
import { comparePersistence, type PersistenceRows } from "../persistence/index.ts";
import { allCosines, baselines } from "./baselines.ts";
import { featureCodes } from "./firings.ts";
import type { PlantedOptions } from "./options.ts";
import { type OracleOptions, oracleInput } from "./oracle.ts";
import { type Confusion, confusionOf, featureOf } from "./score.ts";
import { type PlantedTraining, trainedInput } from "./trained.ts";
import { plantWorld, wholeAngle } from "./world.ts";

/** Kinds against verdicts for both sides of a comparison; the row `none` holds latents that stand for no feature. */
export interface Judged {
  readonly parent: Confusion;
  readonly child: Confusion;
}

/** What a piece of the study found. */
export interface PlantedRecord {
  readonly d: number;
  readonly D: number;
  readonly features: number;
  readonly rule: Judged;
  /** Verdicts on parent latents by the angle that was planted, for features that were kept or turned. */
  readonly byAngle: Confusion;
  /** Shares of the child's features that the arms have a latent for. */
  readonly recovered: Readonly<Record<string, number>>;
  /** The field's rules, by rule and arm. */
  readonly baselines: Readonly<Record<string, Judged>>;
  readonly reinitPersisted: number | null;
  readonly startKept: number | null;
  readonly thresholds: { readonly cosine: number; readonly correlation: number };
  readonly seconds: { readonly train: number; readonly compare: number };
}

/** Level 1: oracle dictionaries. */
export async function oracleStudy(
  seed: number,
  options: Partial<PlantedOptions> = {},
  oracle: Partial<OracleOptions> = {},
): Promise<PlantedRecord> {
  const rng = createRng(`planted ${seed}`);
  const world = plantWorld(rng.fork("world"), options);
  const { input, parentTruth, childTruth, parentAngles } = oracleInput(
    world,
    rng.fork("oracle"),
    oracle,
  );
  return record(
    world,
    input,
    { parent: parentTruth, child: childTruth, angles: parentAngles },
    {},
    0,
  );
}

/** Level 2: SAEs trained on the planted activations. */
export async function trainedStudy(
  seed: number,
  options: Partial<PlantedOptions> = {},
  training: Partial<PlantedTraining> = {},
): Promise<PlantedRecord> {
  const rng = createRng(`planted ${seed}`);
  const world = plantWorld(rng.fork("world"), options);
  const began = performance.now();
  const { input, firings } = await trainedInput(world, rng.fork("training"), training);
  const seconds = (performance.now() - began) / 1000;
  const truth = {
    parent: featureCodes(world.parent, firings),
    child: featureCodes(world.child, firings),
  };
  const standsFor = featureOf(input.parent.codes, truth.parent);
  const recovered: Record<string, number> = {
    parent: new Set(standsFor.filter((f) => f >= 0)).size / world.parent.length,
  };
  for (const { role, arm, codes } of input.arms) {
    if (role !== "carried" && role !== "fresh") continue;
    const found = featureOf(codes, truth.child).filter((f) => f >= 0);
    recovered[arm] = new Set(found).size / world.child.length;
  }
  const childOf = (codes: (typeof input.arms)[number]["codes"]): string[] =>
    Array.from(featureOf(codes, truth.child), (c) => (c < 0 ? "none" : world.child[c].kind));
  return record(
    world,
    input,
    {
      parent: Array.from(standsFor, (f) => (f < 0 ? "none" : world.parent[f].kind)),
      child: childOf(input.arms[0].codes),
      fresh: childOf(input.arms.find(({ role }) => role === "fresh")!.codes),
      angles: Array.from(standsFor, (f) => (f < 0 ? Number.NaN : wholeAngle(world.parent[f]))),
    },
    recovered,
    seconds,
  );
}

interface Truth {
  readonly parent: readonly string[];
  /** Of the carried dictionary's latents, and of the first fresh one's where it is known. */
  readonly child: readonly string[];
  readonly fresh?: readonly string[];
  readonly angles: readonly number[];
}

async function record(
  world: ReturnType<typeof plantWorld>,
  input: Parameters<typeof comparePersistence>[0],
  truth: Truth,
  recovered: Readonly<Record<string, number>>,
  train: number,
): Promise<PlantedRecord> {
  const began = performance.now();
  const { rows, document } = await comparePersistence(input);
  const compare = (performance.now() - began) / 1000;
  const verdicts = verdictsOf(rows);
  const { parent, arms } = input;
  const judged: Record<string, Judged> = {};
  for (const arm of [arms[0], arms.find(({ role }) => role === "fresh")!]) {
    const child = arm.role === "carried" ? truth.child : truth.fresh;
    const cosines = allCosines(parent, arm);
    for (const [name, { byIndex, judge }] of Object.entries(baselines)) {
      if (child === undefined || (byIndex && arm.role !== "carried")) continue;
      judged[`${name}, ${arm.role}`] = judgedBy(truth.parent, child, judge(cosines));
    }
  }
  return {
    d: world.d,
    D: world.D,
    features: world.parent.length,
    rule: judgedBy(truth.parent, truth.child, verdicts),
    byAngle: confusionOf(
      truth.angles.flatMap((angle, i): [string, string][] =>
        Number.isNaN(angle) ? [] : [[String(angle), verdicts.parent[i]]],
      ),
    ),
    recovered,
    baselines: judged,
    reinitPersisted: document.reinit_persisted.value,
    startKept: document.start_kept.value,
    thresholds: {
      cosine: document.thresholds.cosine.used,
      correlation: document.thresholds.correlation.used,
    },
    seconds: { train, compare },
  };
}

function verdictsOf({ side, verdict }: PersistenceRows): {
  readonly parent: readonly string[];
  readonly child: readonly string[];
} {
  return {
    parent: verdict.filter((_, row) => side[row] === "parent"),
    child: verdict.filter((_, row) => side[row] === "child"),
  };
}

function judgedBy(
  parent: readonly string[],
  child: readonly string[],
  said: { readonly parent: readonly string[]; readonly child: readonly string[] },
): Judged {
  const pairs = (kinds: readonly string[], verdicts: readonly string[]): Confusion =>
    confusionOf(kinds.map((kind, i): [string, string] => [kind, verdicts[i]]));
  return { parent: pairs(parent, said.parent), child: pairs(child, said.child) };
}
