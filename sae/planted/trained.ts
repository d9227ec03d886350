/**
 * @file Planted truth with trained SAEs: the parent's, the carried one trained on in the child, fresh ones on either
 * model, the carried one before training and on a model with random weights, all by the project's own trainer, as the
 * input of a comparison.
 */
import type { Rng } from "../../src/engine/index.ts";
import { tf } from "../../src/engine/index.ts";
import type { SaeArchitecture } from "../architectures.ts";
import { encodeAsync } from "../encode.ts";
import { growSae } from "../grow.ts";
import { transposed } from "../kernels/transpose.ts";
import { appendLineage, freshLineage } from "../lineage.ts";
import type { ActivationStream } from "../persistence/index.ts";
import type {
  ArmInput,
  ArmRole,
  Dictionary,
  Frame,
  PersistenceInput,
} from "../persistence/input.ts";
import { type Sae, type SparseCodes, saeConfig } from "../sae.ts";
import { type SaeJob, trainSaes } from "../training/trainer.ts";
import {
  activationRows,
  drawFirings,
  featureCodes,
  mapRows,
  type Side,
  type SourceFirings,
  widthOf,
} from "./firings.ts";
import { frameOf } from "./frame.ts";
import { plantedActivations } from "./source.ts";
import type { PlantedWorld } from "./world.ts";

/** How the SAEs of a planted world are trained. */
export interface PlantedTraining {
  readonly architecture: SaeArchitecture;
  /** Latents over the parent's features; as many new ones are appended in the child as it has features more. */
  readonly latentsPerFeature: number;
  /** Mean L0 of the SAEs over that of the parent's features. */
  readonly l0: number;
  /** Steps of a fresh SAE, and of the carried one in the child. */
  readonly steps: number;
  readonly carriedSteps: number;
  readonly batchSize: number;
  readonly freshSeeds: number;
  readonly parentSeeds: number;
  /** Tokens that the dictionaries are compared on, in sequences of `sequenceLength`. */
  readonly heldOut: number;
  readonly sequenceLength: number;
}

/** Defaults of {@link PlantedTraining}. */
export const plantedTrainingDefaults: PlantedTraining = {
  architecture: "batchtopk",
  latentsPerFeature: 1.5,
  l0: 1,
  steps: 1500,
  carriedSteps: 750,
  batchSize: 512,
  freshSeeds: 3,
  parentSeeds: 0,
  heldOut: 20_000,
  sequenceLength: 50,
};

/** Trains everything and puts it together; also what fired on the held-out tokens. */
export async function trainedInput(
  world: PlantedWorld,
  rng: Rng,
  given: Partial<PlantedTraining> = {},
): Promise<{ readonly input: PersistenceInput; readonly firings: SourceFirings }> {
  const training = { ...plantedTrainingDefaults, ...given };
  const { architecture, steps, carriedSteps, batchSize } = training;
  const d_sae = Math.round(training.latentsPerFeature * world.parent.length);
  const appended = Math.max(0, Math.round(1.2 * (world.child.length - world.parent.length)));
  // An SAE with another L0 than the data has mixes features (Chanin & Garriga-Alonso 2025).
  const fired = featureCodes(world.parent, drawFirings(world, 5000, rng.fork("mean L0")));
  const k = Math.max(1, (training.l0 * fired.latent.length) / fired.nTokens);
  const source = (side: Side, name: string) =>
    plantedActivations(world, side, batchSize, rng.fork(`${side} text ${name}`));
  const job = (name: string, side: Side, latents: number, init: Sae | null): SaeJob => ({
    name,
    config:
      init?.cfg ??
      saeConfig({
        architecture,
        d_in: widthOf(world, side),
        d_sae: latents,
        k,
        hook_name: "planted",
      }),
    init,
    rng: rng.fork(name),
    pinNorms: init !== null,
  });

  const parents = await train(
    source("parent", "train"),
    ["parent", ...numbered("fresh-parent", training.parentSeeds)].map((name) =>
      job(name, "parent", d_sae, null),
    ),
    steps,
  );
  const parent = parents.get("parent") as Sae;
  const start = carried(world, parent);
  const grow = (side: Side) =>
    growSae(start, source(side, "new latents"), appended, rng.fork(`append ${side}`));
  const grown = await grow("child");
  const children = await train(
    source("child", "train"),
    [job("carried", "child", 0, grown)],
    carriedSteps,
  );
  const fresh = await train(
    source("child", "fresh"),
    numbered("fresh", training.freshSeeds).map((name) =>
      job(name, "child", d_sae + appended, null),
    ),
    steps,
  );
  const reinit = await train(
    source("random", "train"),
    [job("reinit", "random", 0, await grow("random"))],
    carriedSteps,
  );

  const firings = drawFirings(world, training.heldOut, rng.fork("held out"));
  const rows = (side: Side) => activationRows(world, side, firings, rng.fork("held-out noise"));
  const held = { parent: rows("parent"), child: rows("child"), random: rows("random") };
  const heldGrown = mapRows(world, held.parent);
  const frame = frameOf(world);
  const identity: Frame = { decoder: (r) => r, encoder: (r) => r };
  const arm = async (
    role: ArmRole,
    name: string,
    sae: Sae,
    on: Float32Array,
  ): Promise<ArmInput> => ({
    ...(await dictionary(sae, on, role.startsWith("carried") || role === "reinit" ? d_sae : 0)),
    role,
    arm: name,
    sae: "planted",
    seed: 0,
    frame: role === "fresh-parent" ? identity : frame,
    start: null,
    l0: null,
    fvu: null,
    ce_loss_score_zero: null,
  });
  const arms: ArmInput[] = [
    await arm("carried", "carried", children.get("carried") as Sae, held.child),
    await arm("carried-start", "carried-start", start, heldGrown),
  ];
  for (const [name, sae] of fresh) arms.push(await arm("fresh", name, sae, held.child));
  for (const [name, sae] of parents) {
    if (name !== "parent") arms.push(await arm("fresh-parent", name, sae, held.parent));
  }
  arms.push(await arm("reinit", "reinit", reinit.get("reinit") as Sae, held.random));
  const stream = (side: "parent" | "child" | "random"): ActivationStream => ({
    dIn: widthOf(world, side),
    blocks: [held[side]],
  });
  return {
    firings,
    input: {
      stage: "planted",
      name: "planted",
      parent: await dictionary(parent, held.parent, 0),
      arms,
      sequenceLength: training.sequenceLength,
      probes: { parent: stream("parent"), child: stream("child"), random: stream("random") },
      curves: null,
      off_image: null,
      copy_spread: null,
      rng: rng.fork("compare"),
    },
  };
}

/** The parent's SAE in the child's frame. */
function carried(world: PlantedWorld, sae: Sae): Sae {
  const { d, D } = world;
  const { d_sae } = sae.cfg;
  const readers = transposed(sae.W_enc, d, d_sae);
  const W_enc = transposed(mapRows(world, readers), d_sae, D);
  return {
    ...sae,
    cfg: { ...sae.cfg, d_in: D, d_out: D },
    W_enc,
    W_dec: mapRows(world, sae.W_dec),
    b_dec: mapRows(world, sae.b_dec),
  };
}

async function dictionary(
  sae: Sae,
  rows: Float32Array,
  carriedLatents: number,
): Promise<Dictionary> {
  const { d_in, d_sae } = sae.cfg;
  const codes = await codesOn(sae, rows);
  const lineage = appendLineage(
    freshLineage(carriedLatents, "base"),
    d_sae - carriedLatents,
    "planted",
  );
  return {
    codes,
    d_in,
    W_dec: sae.W_dec,
    W_enc: sae.W_enc,
    lineage: { stage: lineage.stage, parent: lineage.parent },
  };
}

async function codesOn(sae: Sae, rows: Float32Array): Promise<SparseCodes> {
  const { d_in } = sae.cfg;
  const x = tf.tensor2d(rows.slice(), [rows.length / d_in, d_in]);
  const codes = await encodeAsync(sae, x);
  x.dispose();
  return codes;
}

async function train(
  source: ReturnType<typeof plantedActivations>,
  jobs: readonly SaeJob[],
  steps: number,
): Promise<Map<string, Sae>> {
  if (jobs.length === 0) return new Map();
  const training = trainSaes(source, jobs, { steps, deadAfterTokens: 20_000 });
  let done = await training.next();
  while (!done.done) done = await training.next();
  return done.value;
}

function numbered(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, seed) => `${name}-${seed}`);
}
