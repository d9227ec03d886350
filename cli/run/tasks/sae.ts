/**
 * Task: trains the SAEs that read one model: every SAE of the plan and every arm of the task side by side,
 * fed by one forward pass. Fresh SAEs train for `saes[].tokens`, continued ones (carried,
 * or the parent's own) for the stage's `carry.tokens`. All arms of a stage have dictionaries of the
 * same size: continued ones first grow by `new_latents`, fresh ones start that wide.
 */

import {
  type ActivationSource,
  appendLineage,
  freshLineage,
  growSae,
  type Lineage,
  loadSae,
  modelSequences,
  readLineage,
  saveSae,
  writeLineage,
} from "../../../sae/index.ts";
import { readTokenSet } from "../../../src/data/index.ts";
import { type HostModel, loadModel, placeModel, saveModel } from "../../../src/models/index.ts";
import { modelOrigin, originFields } from "../../origin.ts";
import type { SaePlan } from "../../plan/types.ts";
import { carriedDir, modelDir, saeDir, stageName, trainingDataDir } from "../layout.ts";
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
    const trained = await trainSideBySide(context, stageName(plan, stage), prepared, saved);
    for (const [i, { sae, spec, lineage }] of prepared.entries()) {
      const dir = saeDir(plan, stage, sae.name, spec.arm);
      saveSae(context.path(dir), trained[i], {
        metadata: {
          stage: stageName(plan, stage),
          arm: spec.arm,
          seed: plan.seed,
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
  const { new_latents, tokens } = plan.stages[stage - 1].carry;
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
