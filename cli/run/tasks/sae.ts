/**
 * Task: trains the SAEs that read one model: for each SAE of the plan, the arms of the task side by
 * side on one stream of activations. Fresh SAEs train for `saes[].tokens`, continued ones (carried,
 * or the parent's own) for the stage's `carry.tokens`. All arms of a stage have dictionaries of the
 * same size: continued ones first grow by `new_latents`, fresh ones start that wide.
 */

import {
  type ActivationSource,
  appendLineage,
  architectures,
  createSaeTrainer,
  freshLineage,
  growSae,
  type Lineage,
  loadSae,
  modelActivations,
  readLineage,
  type Sae,
  type SaeJob,
  type SaeTrainer,
  saeConfig,
  saveSae,
  writeLineage,
} from "../../../sae/index.ts";
import { readTokenSet, type TokenSet } from "../../../src/data/index.ts";
import type { HostTensor } from "../../../src/io/index.ts";
import {
  type HostModel,
  initModel,
  loadModel,
  type Model,
  placeModel,
  saveModel,
} from "../../../src/models/index.ts";
import type { SaePlan } from "../../plan/types.ts";
import { carriedDir, modelDir, saeDir, stageName, trainingDataDir } from "../layout.ts";
import type { ModelRef, SaeJobSpec } from "../task.ts";
import type { TaskContext } from "../task-context.ts";
import { stageConfigs } from "./language-model.ts";

/** Points of an SAE's training curve. */
const curvePoints = 60;

/** An arm ready to train. */
interface Prepared {
  readonly spec: SaeJobSpec;
  readonly job: SaeJob;
  readonly lineage: Lineage;
  readonly steps: number;
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
  const resumeAt = saved ? Number(saved.metadata.sae) : -1;
  try {
    for (const [index, saePlan] of plan.saes.entries()) {
      const written = specs.map(({ arm }) => saeDir(plan, stage, saePlan.name, arm));
      if (index >= resumeAt) {
        const state = index === resumeAt ? saved?.tensors : undefined;
        await trainOne(context, stage, ref, model, train, index, specs, state);
      }
      for (const dir of written) {
        outputs.push(`${dir}/cfg.json`, `${dir}/sae_weights.safetensors`, `${dir}/lineage.arrow`);
      }
    }
  } finally {
    model.dispose();
  }
  context.finish();
  return outputs;
}

/** Trains and saves the task's arms of one SAE of the plan. */
async function trainOne(
  context: TaskContext,
  stage: number,
  ref: ModelRef,
  model: Model,
  train: TokenSet,
  index: number,
  specs: readonly SaeJobSpec[],
  state: ReadonlyMap<string, HostTensor> | undefined,
): Promise<void> {
  const { plan } = context;
  const saePlan = plan.saes[index];
  const hook = stageHook(context, stage, saePlan, specs);
  const source = modelActivations(model, hook, train, {
    batchSize: saePlan.batch_tokens,
    rng: context.rng(`activations ${stageName(plan, stage)} ${saePlan.name}`),
  });
  const prepared: Prepared[] = [];
  for (const spec of specs) {
    prepared.push(await prepare(context, stage, ref, saePlan, spec, source, hook));
  }
  const groups = [...new Set(prepared.map(({ steps }) => steps))].map((steps) => ({
    steps,
    arms: prepared.filter((arm) => arm.steps === steps),
  }));
  const trainers: SaeTrainer[] = [];
  for (const { steps, arms } of groups) {
    trainers.push(
      await createSaeTrainer(
        source,
        arms.map(({ job }) => job),
        {
          steps,
          lr: saePlan.lr,
          warmup: saePlan.warmup,
          decay: saePlan.decay,
          deadAfterTokens: saePlan.dead_after_tokens,
          targetL0: saePlan.k,
          sparsityWarmup: saePlan.sparsity_warmup,
          l1Coefficient: saePlan.l1_coefficient,
          l0Coefficient: saePlan.l0_coefficient,
          sparsityMode: saePlan.sparsity_mode,
          tanhScale: saePlan.tanh_scale,
          bandwidth: saePlan.bandwidth,
          initThreshold: saePlan.init_threshold,
          ...(state ? { state: withoutPrefix(state, `${steps}/`) } : {}),
        },
      ),
    );
  }
  const most = Math.max(...groups.map(({ steps }) => steps));
  let taken = Math.max(...trainers.map((trainer) => trainer.taken));
  const started = performance.now();
  const startedAt = taken;
  while (taken < most) {
    const figures: Record<string, number> = {};
    for (const [g, { steps, arms }] of groups.entries()) {
      if (trainers[g].taken >= steps) continue;
      const done = await trainers[g].step();
      const every = Math.max(1, Math.floor(steps / curvePoints));
      for (const sae of done.saes) {
        if (sae.name === arms[0].spec.arm)
          Object.assign(figures, { fvu: sae.fvu, L0: sae.l0, dead: sae.dead_fraction });
        if (done.step % every !== 0 && done.step !== steps && done.step !== 1) continue;
        context.logMetrics({
          stage: stageName(plan, stage),
          arm: sae.name,
          phase: "sae",
          sae: saePlan.name,
          step: done.step,
          tokens: done.tokens,
          loss: sae.loss,
          lr: done.lr,
          fvu: sae.fvu,
          l0: sae.l0,
          dead_fraction: sae.dead_fraction,
        });
      }
    }
    taken += 1;
    const seconds = (performance.now() - started) / 1000;
    figures["tokens/s"] = ((taken - startedAt) * saePlan.batch_tokens) / seconds;
    context.progress((index + taken / most) / plan.saes.length, figures);
    await context.breathe(async () => saveState(context, index, groups, trainers));
  }
  source.dispose();
  for (const [g, { arms }] of groups.entries()) {
    const trained = trainers[g].saes();
    for (const { spec, lineage } of arms) {
      const dir = context.path(saeDir(plan, stage, saePlan.name, spec.arm));
      saveSae(dir, trained.get(spec.arm) as Sae, {
        metadata: { stage: stageName(plan, stage), arm: spec.arm, seed: plan.seed },
      });
      writeLineage(`${dir}/lineage.arrow`, lineage);
    }
  }
}

/** Where an arm starts, grown to the stage's dictionary size. */
async function prepare(
  context: TaskContext,
  stage: number,
  ref: ModelRef,
  saePlan: SaePlan,
  spec: SaeJobSpec,
  source: ActivationSource,
  hook: string,
): Promise<Prepared> {
  const { plan } = context;
  const rng = context.rng(`sae ${stageName(plan, stage)} ${saePlan.name} ${spec.arm}`);
  const steps = (tokens: number): number => Math.ceil(tokens / saePlan.batch_tokens);
  const model_name = stageName(plan, ref.stage);
  if (spec.start === "fresh") {
    const d_sae =
      saePlan.d_sae +
      plan.stages.slice(0, stage).reduce((sum, { carry }) => sum + carry.new_latents, 0);
    const config = saeConfig({
      architecture: saePlan.architecture,
      d_in: source.dIn,
      d_sae,
      k: architectures[saePlan.architecture].k === "none" ? null : saePlan.k,
      // a grown stage's dictionary is wider; the whole of it is the last prefix
      matryoshka_widths: saePlan.matryoshka_widths && [
        ...saePlan.matryoshka_widths.slice(0, -1),
        d_sae,
      ],
      hook_name: hook,
      model_name,
      context_size: plan.data.context,
      aux_coefficient: saePlan.aux_coefficient,
    });
    return {
      spec,
      job: { name: spec.arm, config, init: null, rng, pinNorms: false },
      lineage: freshLineage(d_sae, stageName(plan, stage)),
      steps: steps(saePlan.tokens),
    };
  }
  const from = startDir(context, stage, saePlan, spec);
  const sae = loadSae(from);
  const { new_latents, tokens } = plan.stages[stage - 1].carry;
  const grown = await growSae(sae, source, new_latents, rng.fork("grow"));
  return {
    spec,
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
    steps: steps(tokens),
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

/** The hook that the task's SAEs read: the carried SAE's in a grown model, the parent's in the parent. */
function stageHook(
  context: TaskContext,
  stage: number,
  saePlan: SaePlan,
  specs: readonly SaeJobSpec[],
): string {
  if (stage === 0) return saePlan.hook;
  const continued = specs.find(({ start }) => start !== "fresh");
  const from = continued
    ? startDir(context, stage, saePlan, continued)
    : context.path(carriedDir(context.plan, stage, saePlan.name));
  return loadSae(from).cfg.hook_name;
}

/** The model a task reads, written first where it is made here: random weights in the child's shape. */
function referencedModel(
  context: TaskContext,
  ref: ModelRef,
): { host: HostModel; outputs: string[] } {
  const dir = modelDir(context.plan, ref.stage, ref.arm);
  if (ref.arm !== "reinit") return { host: loadModel(context.path(dir)), outputs: [] };
  const config = stageConfigs(context)[ref.stage];
  const host = initModel(config, context.rng(`reinit ${ref.stage}`));
  saveModel(context.path(dir), host);
  return { host, outputs: [`${dir}/config.json`, `${dir}/model.safetensors`] };
}

function saveState(
  context: TaskContext,
  index: number,
  groups: readonly { readonly steps: number }[],
  trainers: readonly SaeTrainer[],
): void {
  const tensors = new Map<string, HostTensor>();
  for (const [g, { steps }] of groups.entries()) {
    for (const [name, tensor] of trainers[g].state()) tensors.set(`${steps}/${name}`, tensor);
  }
  context.save(tensors, { sae: String(index) });
}

function withoutPrefix(
  tensors: ReadonlyMap<string, HostTensor>,
  prefix: string,
): Map<string, HostTensor> {
  const out = new Map<string, HostTensor>();
  for (const [name, tensor] of tensors) {
    if (name.startsWith(prefix)) out.set(name.slice(prefix.length), tensor);
  }
  return out;
}
