/**
 * Task: a crosscoder between a stage's parent and its child (or the child's shape with random weights) for each SAE of
 * the plan, at the SAE's hook and the one that it maps to. Each has as many latents as the stage's SAEs, k latents a
 * token, and trains for `saes[].tokens` on the tokens that the stage's SAEs train on.
 */
import {
  type CrosscoderTrainer,
  createCrosscoderTrainer,
  loadSae,
  modelSequences,
  runtimeNormOf,
  saveCrosscoder,
} from "../../../sae/index.ts";
import { readTokenSet, type TokenSet } from "../../../src/data/index.ts";
import type { HostTensor } from "../../../src/io/index.ts";
import { loadModel, type Model, placeModel } from "../../../src/models/index.ts";
import type { SaePlan } from "../../plan/types.ts";
import { crosscoderSizes } from "../crosscoder-sizes.ts";
import { carriedDir, modelDir, saeDir, stageName, trainingDataDir } from "../layout.ts";
import type { CrosscoderArm } from "../task.ts";
import type { TaskContext } from "../task-context.ts";
import { firstTokensExcluded } from "./held-out.ts";
import { reinitModel } from "./reinit-model.ts";
import { curvePoints, trainingOptions } from "./train-side-by-side.ts";

/** A stage's two models, placed; the caller disposes them. */
export interface ModelPair {
  readonly parent: Model;
  readonly child: Model;
}

/** Runs the task. */
export async function crosscoderTask(
  context: TaskContext,
  stage: number,
  arm: CrosscoderArm,
): Promise<string[]> {
  const { plan } = context;
  const train = readTokenSet(context.path(trainingDataDir(plan, stage), "train.safetensors"));
  const models = modelPair(context, stage, arm);
  const saved = context.begin();
  const resumeAt = saved ? Number(saved.metadata.sae) : -1;
  const outputs: string[] = [];
  try {
    for (const [index, sae] of plan.saes.entries()) {
      const dir = saeDir(plan, stage, sae.name, arm);
      if (index >= resumeAt) {
        const state = index === resumeAt ? saved?.tensors : undefined;
        const trainer = await startTraining(context, stage, arm, models, train, sae, state);
        await trainOne(context, stage, arm, index, trainer);
        saveCrosscoder(context.path(dir), trainer.crosscoder(), {
          metadata: { stage: stageName(plan, stage), arm, seed: plan.seed },
        });
        trainer.dispose();
      }
      outputs.push(`${dir}/cfg.json`, `${dir}/sae_weights.safetensors`);
    }
  } finally {
    models.parent.dispose();
    models.child.dispose();
  }
  context.finish();
  return outputs;
}

/** The models that a crosscoder of a stage reads. */
export function modelPair(context: TaskContext, stage: number, arm: CrosscoderArm): ModelPair {
  const { plan } = context;
  const child =
    arm === "crosscoder"
      ? loadModel(context.path(modelDir(plan, stage)))
      : reinitModel(context, stage);
  return {
    parent: placeModel(loadModel(context.path(modelDir(plan, stage - 1)))),
    child: placeModel(child),
  };
}

/** The hooks of an SAE in the parent and in the child. */
export function hookPair(context: TaskContext, stage: number, name: string): [string, string] {
  const { plan } = context;
  const hookOf = (dir: string): string => loadSae(context.path(dir)).cfg.hook_name;
  return [hookOf(saeDir(plan, stage - 1, name)), hookOf(carriedDir(plan, stage, name))];
}

function startTraining(
  context: TaskContext,
  stage: number,
  arm: CrosscoderArm,
  { parent, child }: ModelPair,
  train: TokenSet,
  sae: SaePlan,
  state: ReadonlyMap<string, HostTensor> | undefined,
): Promise<CrosscoderTrainer> {
  const { plan } = context;
  const hooks = hookPair(context, stage, sae.name);
  const child_name =
    arm === "crosscoder" ? stageName(plan, stage) : `${stageName(plan, stage)} reinit`;
  return createCrosscoderTrainer(
    modelSequences(parent, [hooks[0]], train, { firstTokensExcluded }),
    modelSequences(child, [hooks[1]], train, { firstTokensExcluded }),
    {
      architecture: plan.controls.crosscoder,
      ...crosscoderSizes(plan, stage, sae),
      ...{ parent: stageName(plan, stage - 1), child: child_name },
      context_size: plan.data.context,
      first_tokens_excluded: firstTokensExcluded,
      aux_coefficient: sae.aux_coefficient,
    },
    {
      steps: Math.ceil(sae.tokens / sae.batch_tokens),
      batchSize: sae.batch_tokens,
      maxNormRatio: sae.max_norm_ratio,
      rng: context.rng(`${arm} ${stageName(plan, stage)} ${sae.name}`),
      ...trainingOptions(sae),
      // joined rows of two models have no norm of their own
      ...(runtimeNormOf(sae.normalize_activations) !== "none" && {
        normalize: "expected_average_only_in" as const,
      }),
      ...(state ? { state } : {}),
    },
  );
}

async function trainOne(
  context: TaskContext,
  stage: number,
  arm: CrosscoderArm,
  index: number,
  trainer: CrosscoderTrainer,
): Promise<void> {
  const { plan } = context;
  const sae = plan.saes[index];
  const steps = Math.ceil(sae.tokens / sae.batch_tokens);
  const every = Math.max(1, Math.floor(steps / curvePoints));
  while (trainer.taken < steps) {
    const { step, tokens, lr, saes } = await trainer.step();
    const [{ loss, fvu, l0, dead_fraction }] = saes;
    if (step % every === 0 || step === steps || step === 1) {
      const place = { stage: stageName(plan, stage), arm, phase: "sae", sae: sae.name };
      context.logMetrics({ ...place, step, tokens, loss, lr, fvu, l0, dead_fraction });
    }
    context.progress((index + step / steps) / plan.saes.length, {
      ...{ fvu, L0: l0, dead: dead_fraction },
    });
    await context.breathe(async () => context.save(trainer.state(), { sae: String(index) }));
  }
}
