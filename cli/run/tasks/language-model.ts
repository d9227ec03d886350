/**
 * Task: trains one language model of a run: the base, a grown child, or a control (`scratch`: the
 * child's size from fresh weights with all tokens so far; `no-expand`: the parent with the child's
 * tokens). Child and `no-expand` see the same batches in the same order. The moments of the run's own models are kept
 * beside them, for the stage after.
 */
import { cpSync } from "node:fs";
import {
  type CorpusOrder,
  readTokenSet,
  spreadSequences,
  Tokenizer,
  type TokenSet,
  trainingBatch,
} from "../../../src/data/index.ts";
import type { AdamwState } from "../../../src/engine/index.ts";
import { growMoments } from "../../../src/expansion/index.ts";
import type { HostTensor } from "../../../src/io/index.ts";
import {
  createLmTrainer,
  type FrozenEntries,
  type HostModel,
  heldOutLoss,
  initModel,
  type LmState,
  type LmTrainOptions,
  loadConfig,
  loadModel,
  loadMoments,
  type ModelConfig,
  momentsFile,
  momentsOf,
  momentTensors,
  parameterShapes,
  placeModel,
  saveModel,
  saveMoments,
  trainingFlopsPerToken,
} from "../../../src/models/index.ts";
import type { ResolvedPlan, TrainPlan } from "../../plan/types.ts";
import { checkpointDir, checkpoints, tokensBefore, trainingSteps } from "../checkpoints.ts";
import { frozenEntries } from "../frozen.ts";
import {
  dataDir,
  expansionDir,
  modelDir,
  ownData,
  realArm,
  stageName,
  trainingDataDir,
} from "../layout.ts";
import { drawnGrowth, learnedTokens, plannedConfigs } from "../planned-growth.ts";
import type { SavedState, TaskContext } from "../task-context.ts";
import { batchRng } from "./data.ts";

/** Held-out sequences that the curve is measured on (the final figure uses more). */
const curveSequences = 96;
/** Points of the training curve, and of its held-out companion. */
const curvePoints = 100;
const heldOutPoints = 10;

/** What one model trains on. */
interface Training {
  readonly start: HostModel;
  /** Moments that it begins with; null = zeros. */
  readonly moments: AdamwState | null;
  readonly frozen: FrozenEntries;
  readonly settings: TrainPlan;
  readonly tokens: number;
  /** Tokens and operations spent before, by the model's ancestors. */
  readonly before: { readonly tokens: number; readonly flops: number };
  /** What it reads, one after the other. */
  readonly text: readonly Stretch[];
}

/** A stretch of a training: the text that it reads, and for how many tokens (the last one: to the end). */
interface Stretch {
  /** Folder of the token set. */
  readonly dir: string;
  readonly order: CorpusOrder;
  /** Names the order of its batches. */
  readonly batches: string;
  readonly tokens: number;
}

/** Runs the task. */
export async function languageModelTask(
  context: TaskContext,
  stage: number,
  arm: string,
): Promise<string[]> {
  const { plan } = context;
  const heldOut = (dir: string): TokenSet =>
    spreadSequences(readTokenSet(context.path(dir, "held-out.safetensors")), curveSequences);
  const own = ownData(plan, stage) === null ? null : heldOut(trainingDataDir(plan, stage));
  const training = plannedTraining(context, stage, arm);
  const trained = await trainModel(context, stage, arm, training, heldOut(dataDir), own);
  const dir = modelDir(plan, stage, arm);
  const outputs = saveWithTokenizer(context, dir, trained.model);
  if (arm === realArm && trained.taken > 0) {
    saveMoments(context.path(dir), trained.optimizer, trained.model.config);
    outputs.push(`${dir}/${momentsFile}`);
  }
  context.finish();
  const kept = checkpoints(plan, stage, arm).flatMap((checkpoint) =>
    modelFiles.map((name) => `${checkpointDir(plan, stage, arm, checkpoint)}/${name}`),
  );
  return [...outputs, ...kept];
}

const tokenizerFiles = ["tokenizer.json", "tokenizer_config.json"];
const modelFiles = ["config.json", "model.safetensors", ...tokenizerFiles];

/** Writes a model with the run's tokenizer beside it; returns the files. */
function saveWithTokenizer(
  context: TaskContext,
  dir: string,
  model: HostModel,
  dtype: "F32" | "F16" = "F32",
): string[] {
  saveModel(context.path(dir), model, { dtype });
  for (const name of tokenizerFiles) {
    cpSync(context.path(dataDir, name), context.path(dir, name));
  }
  return modelFiles.map((name) => `${dir}/${name}`);
}

async function trainModel(
  context: TaskContext,
  stage: number,
  arm: string,
  training: Training,
  heldOut: TokenSet,
  ownHeldOut: TokenSet | null,
): Promise<LmState> {
  const { plan } = context;
  const { settings, before, start, moments, frozen } = training;
  const { context: length } = plan.data;
  const { steps, batchTokens } = trainingSteps(plan, settings, training.tokens);
  const options: LmTrainOptions = {
    steps,
    lr: settings.lr,
    warmup: settings.warmup <= 1 ? settings.warmup : settings.warmup / training.tokens,
    minLrRatio: settings.min_lr_ratio,
    weightDecay: settings.weight_decay,
    clip: settings.clip,
    beta1: settings.beta1,
    beta2: settings.beta2,
    frozen,
  };
  const left = context.begin();
  const saved = left && lmState(left, start.config);
  const begun = moments === null ? start : { model: start, optimizer: moments, taken: 0 };
  const trainer = createLmTrainer(saved ?? begun, options);
  const batchOf = batchesOf(context, training.text, batchTokens / length);
  const flopsPerToken = trainingFlopsPerToken(start.config, length);
  const logEvery = Math.max(1, Math.floor(steps / curvePoints));
  const measureEvery = Math.max(1, Math.floor(steps / heldOutPoints));
  const log = (step: number, fields: Record<string, number>): void =>
    context.logMetrics({
      stage: stageName(plan, stage),
      arm,
      phase: "lm",
      step,
      tokens: before.tokens + step * batchTokens,
      flops: before.flops + step * batchTokens * flopsPerToken,
      ...fields,
    });
  const measure = async (): Promise<Record<string, number>> => {
    const placed = placeModel(await trainer.model());
    const lossOn = async (set: TokenSet): Promise<number> =>
      (await heldOutLoss(placed, set.ids, set.context)).loss;
    try {
      const held_out_loss = await lossOn(heldOut);
      if (ownHeldOut === null) return { held_out_loss };
      return { held_out_loss, stage_held_out_loss: await lossOn(ownHeldOut) };
    } finally {
      placed.dispose();
    }
  };
  const kept = new Map(checkpoints(plan, stage, arm).map((point) => [point.step, point]));
  const keep = async (taken: number): Promise<void> => {
    const checkpoint = kept.get(taken);
    if (checkpoint === undefined) return;
    const dir = checkpointDir(plan, stage, arm, checkpoint);
    saveWithTokenizer(context, dir, await trainer.model(), "F16");
  };
  try {
    if (!saved) log(0, await measure());
    if (!saved) await keep(0);
    const started = performance.now();
    const startedAt = trainer.taken;
    while (trainer.taken < steps) {
      const { step, loss, lr, balance } = await trainer.step({
        ids: batchOf(trainer.taken),
        context: length,
      });
      const routed: Record<string, number> =
        balance === undefined ? { loss, lr } : { loss, lr, balance };
      const isLast = step === steps;
      if (step % measureEvery === 0 || isLast) log(step, { ...routed, ...(await measure()) });
      else if (step % logEvery === 0) log(step, routed);
      const seconds = (performance.now() - started) / 1000;
      await keep(step);
      context.progress(step / steps, {
        loss,
        "tokens/s": ((step - startedAt) * batchTokens) / seconds,
      });
      await context.breathe(async () => saveLmState(context, await trainer.state()));
    }
    return await trainer.state();
  } finally {
    trainer.dispose();
  }
}

/** The ids of a step's batch, from the stretch of text that the step is in. */
function batchesOf(
  context: TaskContext,
  text: readonly Stretch[],
  sequences: number,
): (step: number) => Int32Array {
  const { plan } = context;
  const begins = [0];
  for (const { tokens } of text.slice(0, -1)) {
    begins.push(begins[begins.length - 1] + Math.ceil(tokens / (sequences * plan.data.context)));
  }
  let current = -1;
  let set: TokenSet | undefined;
  return (step) => {
    const index = begins.findLastIndex((begin) => begin <= step);
    const { dir, order, batches } = text[index];
    if (index !== current || !set) set = readTokenSet(context.path(dir, "train.safetensors"));
    current = index;
    return trainingBatch(set, sequences, step - begins[index], batchRng(plan, batches), order);
  };
}

/** The text of stage `stage`, in batches whose order `label` names. */
function stretchOf(plan: ResolvedPlan, stage: number, label: string): Stretch {
  const { order } = ownData(plan, stage) ?? plan.data;
  const { tokens } = stage === 0 ? plan.model.train : plan.stages[stage - 1].train;
  return {
    dir: trainingDataDir(plan, stage),
    order: order === "shuffled" ? "shuffled" : "file", // by label: the set lies in that order
    batches: label,
    tokens,
  };
}

/** What the from-scratch model reads: the base's text, or, where stages have their own, the text of each in turn. */
function textOfAll(plan: ResolvedPlan): Stretch[] {
  const base = stretchOf(plan, 0, "scratch");
  if (plan.stages.every(({ data }) => data === null)) return [base];
  return [
    base,
    ...plan.stages.map((_, i) => stretchOf(plan, i + 1, `scratch ${stageName(plan, i + 1)}`)),
  ];
}

/** Where a model starts and how long it trains. */
function plannedTraining(context: TaskContext, stage: number, arm: string): Training {
  const { plan } = context;
  const none = { tokens: 0, flops: 0 };
  if (arm === "scratch") {
    return {
      start: initModel(stageConfigs(context)[stage], context.rng("scratch weights")),
      moments: null,
      frozen: new Map(),
      settings: plan.model.train,
      tokens: tokensBefore(plan, stage + 1),
      before: none,
      text: textOfAll(plan),
    };
  }
  if (stage === 0) {
    return {
      start:
        plan.model.path === null
          ? initModel(stageConfigs(context)[0], context.rng("base weights"))
          : loadModel(plan.model.path),
      moments: null,
      frozen: new Map(),
      settings: plan.model.train,
      tokens: plan.model.train.tokens,
      before: none,
      text: [stretchOf(plan, 0, stageName(plan, 0))],
    };
  }
  const settings = plan.stages[stage - 1].train;
  const from = arm === realArm ? `${expansionDir(plan, stage)}/model` : modelDir(plan, stage - 1);
  return {
    start: loadModel(context.path(from)),
    moments: startingMoments(context, stage, arm),
    frozen: frozenEntries(plan, stage, arm, loadConfig(context.path(modelDir(plan, stage - 1)))),
    settings,
    tokens: settings.tokens,
    before: arm === realArm ? spentOnModel(context, stage) : spentBefore(context, stage),
    text: [stretchOf(plan, stage, stageName(plan, stage))],
  };
}

/**
 * The moments that a stage's policy gives its model: the parent's through the growth, or as they are where the model
 * is the parent itself (`no-expand`). Null under `reset`, and, with a note, where the parent was not trained here.
 */
function startingMoments(context: TaskContext, stage: number, arm: string): AdamwState | null {
  const { plan } = context;
  const policy = plan.stages[stage - 1].train.optimizer;
  if (policy === "reset") return null;
  const dir = context.path(modelDir(plan, stage - 1));
  const parent = loadConfig(dir);
  const moments = loadMoments(dir, parent);
  if (moments === null) {
    context.note(
      `the optimizer is reset, not ${policy}: the parent was not trained in this run and has no moments`,
    );
    return null;
  }
  if (arm !== realArm) return moments;
  return growMoments(drawnGrowth(plan, stage, parent).growth, parent, moments, policy);
}

/** The configuration of every stage's model, from the plan and the run's tokenizer. */
export function stageConfigs(context: TaskContext): ModelConfig[] {
  const tokenizer = Tokenizer.load(context.path(dataDir, "tokenizer.json"));
  return plannedConfigs(context.plan, {
    size: tokenizer.vocabSize,
    endOfText: tokenizer.endOfText,
  });
}

/** What is spent when the grown model of `stage` begins to train: the stages before, and what its growth learned. */
function spentOnModel(context: TaskContext, stage: number): { tokens: number; flops: number } {
  const { tokens, flops } = spentBefore(context, stage);
  return { tokens, flops: flops + learningFlops(context, stage) };
}

/** Operations of an expansion that learns: a step costs one of training the child. */
function learningFlops(context: TaskContext, stage: number): number {
  const { plan } = context;
  const tokens = learnedTokens(plan, stage);
  if (tokens === 0) return 0;
  const config = loadConfig(context.path(expansionDir(plan, stage), "model"));
  return tokens * trainingFlopsPerToken(config, plan.data.context);
}

/** Tokens and training operations of all stages before `stage`. */
export function spentBefore(
  context: TaskContext,
  stage: number,
): { tokens: number; flops: number } {
  const { plan } = context;
  const spent = { tokens: 0, flops: 0 };
  for (let index = 0; index < stage; index++) {
    const { tokens } = index === 0 ? plan.model.train : plan.stages[index - 1].train;
    const config = loadConfig(context.path(modelDir(plan, index)));
    spent.tokens += tokens;
    spent.flops += tokens * trainingFlopsPerToken(config, plan.data.context);
    spent.flops += learningFlops(context, index);
  }
  return spent;
}

function saveLmState(context: TaskContext, { model, optimizer, taken }: LmState): void {
  const tensors = momentTensors(optimizer, parameterShapes(model.config));
  for (const [name, tensor] of model.weights) tensors.set(`weight/${name}`, tensor);
  context.save(tensors, { step: String(optimizer.step), taken: String(taken) });
}

function lmState({ tensors, metadata }: SavedState, config: ModelConfig): LmState {
  const prefix = "weight/";
  const weights = new Map<string, HostTensor>();
  for (const [key, tensor] of tensors) {
    if (key.startsWith(prefix)) weights.set(key.slice(prefix.length), tensor);
  }
  return {
    model: { config, weights },
    optimizer: momentsOf(tensors, Number(metadata.step)),
    taken: Number(metadata.taken),
  };
}
