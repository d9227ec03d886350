/**
 * Task: trains the SAEs that read one model: every SAE of the plan and every arm of the task side by side,
 * fed by one forward pass. At the base an SAE that exists (`saes[].from`) is copied, or trains on. Fresh SAEs train for `saes[].tokens`, continued ones (carried,
 * or the parent's own) for the stage's `carry.tokens`, at `carry.lr`. All arms of a stage have dictionaries of the
 * same size: continued ones first grow by `new_latents`, fresh ones start that wide.
 */

import { basename } from "node:path";
import {
  type ActivationSource,
  appendLineage,
  freshLineage,
  growSae,
  type Lineage,
  loadSae,
  modelSequences,
  readLineage,
  type Sae,
  saveSae,
  writeLineage,
} from "../../../sae/index.ts";
import { readTokenSet } from "../../../src/data/index.ts";
import { type HostModel, loadModel, placeModel, saveModel } from "../../../src/models/index.ts";
import { modelOrigin, originFields } from "../../origin.ts";
import { carryRate } from "../../plan/carry-rate.ts";
import { importedSae } from "../../plan/imported-sae.ts";
import type { SaePlan } from "../../plan/types.ts";
import { carriedDir, modelDir, realArm, saeDir, stageName, trainingDataDir } from "../layout.ts";
import type { ModelRef, SaeJobSpec } from "../task.ts";
import type { TaskContext } from "../task-context.ts";
import { freshConfig } from "./fresh-config.ts";
import { firstTokensExcluded } from "./held-out.ts";
import { reinitModel } from "./reinit-model.ts";
import { saeStreams, type TrainedArm, trainSideBySide } from "./train-side-by-side.ts";
import { turnedStart } from "./turned-start.ts";

/** An arm ready to train. */
interface Prepared extends TrainedArm {
  readonly spec: SaeJobSpec;
  readonly lineage: Lineage;
}

/** Runs the task. */
export async function saeTask(
  context: TaskContext,
  stage: number,
  ref: ModelRef,
  specs: readonly SaeJobSpec[],
): Promise<string[]> {
  const { plan } = context;
  const train = readTokenSet(context.path(trainingDataDir(plan, stage), "train.safetensors"));
  const { host, outputs } = referencedModel(context, ref);
  const model = placeModel(host);
  const saved = context.begin();
  const hooks = plan.saes.map((sae) => stageHooks(context, stage, sae, specs));
  const streams = saeStreams(
    plan.saes.map((sae, i) => ({ sae, ...hooks[i] })),
    (names) => modelSequences(model, names, train, { firstTokensExcluded }),
    context.rng(`activations ${stageName(plan, stage)}`),
  );
  const prepared: Prepared[] = [];
  try {
    for (const [i, sae] of plan.saes.entries()) {
      for (const spec of specs) {
        prepared.push(await prepare(context, stage, ref, sae, spec, streams[i], hooks[i]));
      }
    }
    // an imported SAE may stay as it is, to the bit
    const trains = prepared.filter(({ steps }) => steps > 0);
    const trained =
      trains.length === 0
        ? []
        : await trainSideBySide(context, stageName(plan, stage), trains, saved);
    for (const arm of prepared) {
      const { sae, spec, lineage, job } = arm;
      const dir = saeDir(plan, stage, sae.name, spec.arm);
      const made =
        arm.steps > 0 ? trained[trains.indexOf(arm)] : { ...(job.init as Sae), cfg: job.config };
      const isImported = sae.from !== null && stage === 0 && spec.arm === realArm;
      saveSae(context.path(dir), made, {
        metadata: {
          stage: stageName(plan, stage),
          arm: spec.arm,
          seed: plan.seed,
          ...(isImported && { from: basename(sae.from as string), from_sha256: sae.from_sha256 }),
          ...originFields(modelOrigin(context.path(modelDir(plan, ref.stage, ref.arm)))),
        },
      });
      writeLineage(context.path(dir, "lineage.arrow"), lineage);
      outputs.push(`${dir}/cfg.json`, `${dir}/sae_weights.safetensors`, `${dir}/lineage.arrow`);
    }
  } finally {
    for (const stream of streams) stream.dispose();
    model.dispose();
  }
  context.finish();
  return outputs;
}

/** Where an arm starts, grown to the stage's dictionary size. */
async function prepare(
  context: TaskContext,
  stage: number,
  ref: ModelRef,
  saePlan: SaePlan,
  spec: SaeJobSpec,
  source: ActivationSource,
  { hook, hookOut }: StageHooks,
): Promise<Prepared> {
  const { plan } = context;
  const rng = context.rng(`sae ${stageName(plan, stage)} ${saePlan.name} ${spec.arm}`);
  const steps = (tokens: number): number => Math.ceil(tokens / saePlan.batch_tokens);
  const model_name = stageName(plan, ref.stage);
  if (saePlan.from !== null && stage === 0 && spec.arm === realArm) {
    const init = importedSae(saePlan, `saes: ${saePlan.name}`);
    const { max_norm_ratio, aux_coefficient } = saePlan;
    const { context: context_size } = plan.data;
    const own = { hook_name: hook, model_name, context_size, max_norm_ratio, aux_coefficient };
    return {
      sae: saePlan,
      spec,
      source,
      job: { name: spec.arm, config: { ...init.cfg, ...own }, init, rng, pinNorms: true },
      lineage: freshLineage(init.cfg.d_sae, model_name),
      steps: steps(saePlan.from_tokens),
    };
  }
  if (spec.start === "fresh") {
    const d_sae =
      saePlan.d_sae +
      plan.stages.slice(0, stage).reduce((sum, { carry }) => sum + carry.new_latents, 0);
    const config = freshConfig(saePlan, d_sae, {
      d_in: source.dIn,
      d_out: source.target?.width ?? source.dIn,
      hook_name: hook,
      hook_name_out: hookOut,
      model_name,
      context_size: plan.data.context,
    });
    return {
      sae: saePlan,
      spec,
      source,
      job: { name: spec.arm, config, init: null, rng, pinNorms: false },
      lineage: freshLineage(d_sae, stageName(plan, stage)),
      steps: steps(saePlan.tokens),
    };
  }
  const from = startDir(context, stage, saePlan, spec);
  const sae = turnedStart(context, stage, saePlan.name, loadSae(from), spec.turn).sae;
  const { carry } = plan.stages[stage - 1];
  const { new_latents, tokens } = carry;
  const grown = await growSae(sae, source, new_latents, rng.fork("grow"));
  return {
    sae: saePlan,
    spec,
    source,
    job: {
      name: spec.arm,
      config: { ...grown.cfg, model_name },
      init: grown,
      rng,
      pinNorms: true,
    },
    lineage: appendLineage(
      readLineage(`${from}/lineage.arrow`),
      new_latents,
      stageName(plan, stage),
    ),
    steps: steps(tokens * (spec.times ?? 1)),
    lr: carryRate(carry, saePlan),
  };
}

/** The folder of the SAE that an arm starts from. */
function startDir(context: TaskContext, stage: number, saePlan: SaePlan, spec: SaeJobSpec): string {
  const { plan } = context;
  return context.path(
    spec.start === "carried"
      ? carriedDir(plan, stage, saePlan.name)
      : saeDir(plan, stage - 1, saePlan.name),
  );
}

/** What the task's SAEs read, and what they reconstruct where it is another hook. */
interface StageHooks {
  readonly hook: string;
  readonly hookOut: string | null;
}

/** The hooks of the task's SAEs: the carried SAE's in a grown model, the parent's in the parent. */
function stageHooks(
  context: TaskContext,
  stage: number,
  saePlan: SaePlan,
  specs: readonly SaeJobSpec[],
): StageHooks {
  if (stage === 0) return { hook: saePlan.hook, hookOut: saePlan.hook_out };
  const continued = specs.find(({ start }) => start !== "fresh");
  const from = continued
    ? startDir(context, stage, saePlan, continued)
    : context.path(carriedDir(context.plan, stage, saePlan.name));
  const { hook_name, hook_name_out } = loadSae(from).cfg;
  return { hook: hook_name, hookOut: hook_name_out };
}

/** The model a task reads, written first where it is made here: random weights in the child's shape. */
function referencedModel(
  context: TaskContext,
  ref: ModelRef,
): { host: HostModel; outputs: string[] } {
  const dir = modelDir(context.plan, ref.stage, ref.arm);
  if (ref.arm !== "reinit") return { host: loadModel(context.path(dir)), outputs: [] };
  const host = reinitModel(context, ref.stage);
  saveModel(context.path(dir), host);
  return { host, outputs: [`${dir}/config.json`, `${dir}/model.safetensors`] };
}
