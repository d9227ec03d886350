/**
 * @file --dry-run: what a plan will cost, from its sizes alone. Operations follow Kaplan et al. 2020
 * (6 per weight and token) for language models; an SAE's step is a dense product, 2·d·m per token, and
 * sparse work, about 12·k·d. Time is operations over the rates of task-seconds.ts: within about a factor of 1.5.
 */
import { ActivationDump, sizeOf } from "../../src/io/index.ts";
import {
  type ModelConfig,
  modelSizes,
  parameterCount,
  parameterShapes,
} from "../../src/models/index.ts";
import { checkpoints } from "../run/checkpoints.ts";
import { frozenEntries } from "../run/frozen.ts";
import { taskGraph } from "../run/graph.ts";
import { realArm, stageName } from "../run/layout.ts";
import { stageConfigs } from "./sizes.ts";
import { basisOf, type MachineRate, makespan, taskSeconds } from "./task-seconds.ts";
import {
  activeLatents,
  addedLatents,
  type BufferEstimate,
  dModel,
  floatBytes,
  lmTokensOf,
  type TaskWork,
  taskWork,
} from "./task-work.ts";
import type { ResolvedPlan } from "./types.ts";

/** Cost of one stage, its control arms included. */
export interface StageEstimate {
  readonly stage: string;
  readonly d_model: number;
  readonly n_layer: number;
  readonly n_head: number;
  readonly d_mlp: number;
  readonly params: number;
  /** Tokens that language models train on, over all arms. */
  readonly lm_tokens: number;
  /** Tokens that SAEs and crosscoders train on, over all arms. */
  readonly sae_tokens: number;
  /** How many SAEs and crosscoders are trained. */
  readonly saes: number;
  readonly flops: number;
  /** AdamW's moments, kept beside the stage's model: 8 bytes a trained parameter; 0 where nothing is trained. */
  readonly optimizer_bytes: number;
}

/** A task's share of it. */
export interface TaskEstimate {
  readonly task: string;
  readonly title: string;
  readonly flops: number;
  /** At its peak, the process and its backend included. */
  readonly memory_bytes: number;
  /** Null where no rate was given. */
  readonly seconds: number | null;
}

/** Answer of --dry-run. */
export interface DryRun {
  readonly format: "sae-carry/dry-run";
  readonly version: 1;
  readonly command: string;
  readonly out: string;
  readonly stages: readonly StageEstimate[];
  readonly tasks: readonly TaskEstimate[];
  /** Null where no SAE is trained. */
  readonly buffer: BufferEstimate | null;
  readonly total: {
    readonly lm_tokens: number;
    readonly sae_tokens: number;
    readonly flops: number;
    readonly memory_bytes: number;
    readonly disk_bytes: number;
    /** Null where no rate was given. */
    readonly seconds: number | null;
  };
  readonly notes: readonly string[];
}

/** What an estimate is for. */
export interface EstimateOptions {
  readonly command: "train" | "expand-and-track";
  readonly out: string;
  readonly where: string;
  /** What the machine does; null = unknown. */
  readonly rate: MachineRate | null;
}

/** Works out a plan's cost. Errors: those of `stageConfigs`, or of the dump that SAEs train on. */
export function estimateRun(plan: ResolvedPlan, options: EstimateOptions): DryRun {
  const { command, out, where, rate } = options;
  const isDump = plan.activations !== null;
  const { configs, notes } = isDump ? { configs: [], notes: [] } : stageConfigs(plan, where);
  const graph = taskGraph(plan, command === "train" ? "train" : undefined);
  const works = graph.map((task) => taskWork(plan, configs, task));
  const count = isDump ? 0 : Math.max(...graph.map((task) => task.stage)) + 1;
  const stages = configs.slice(0, count).map((_, i) => {
    return estimateStage(
      plan,
      configs,
      works.filter((_, t) => graph[t].stage === i),
      i,
    );
  });
  const sum = (key: "lmTokens" | "saeTokens" | "flops"): number =>
    works.reduce((total, work) => total + work[key], 0);
  const flops = sum("flops");
  const buffers = works.flatMap(({ buffer }) => buffer ?? []);
  const seconds = rate && works.map((work, i) => taskSeconds(graph[i].spec.kind, work, rate));
  return {
    format: "sae-carry/dry-run",
    version: 1,
    command,
    out,
    stages,
    tasks: graph.map(({ id, title }, i) => ({
      task: id,
      title,
      flops: works[i].flops,
      memory_bytes: works[i].memory_bytes,
      seconds: seconds?.[i] ?? null,
    })),
    buffer: buffers.sort((a, b) => b.bytes - a.bytes)[0] ?? null,
    total: {
      lm_tokens: sum("lmTokens"),
      sae_tokens: sum("saeTokens"),
      flops,
      memory_bytes: Math.max(...works.map(({ memory_bytes }) => memory_bytes)),
      disk_bytes: isDump ? dumpDiskBytes(plan) : diskBytes(plan, configs, stages),
      seconds: seconds && rate && makespan(graph, seconds, rate.workers),
    },
    notes: [...notes, ...(isDump ? [] : momentNotes(plan)), ...(rate ? [basisOf(rate)] : [])],
  };
}

function estimateStage(
  plan: ResolvedPlan,
  configs: readonly ModelConfig[],
  works: readonly TaskWork[],
  index: number,
): StageEstimate {
  const config = configs[index];
  const sizes = modelSizes(config);
  const sum = (key: "lmTokens" | "saeTokens" | "saes" | "flops"): number =>
    works.reduce((total, work) => total + work[key], 0);
  return {
    stage: stageName(plan, index),
    d_model: sizes.dModel,
    n_layer: sizes.nLayer,
    n_head: sizes.nHead,
    d_mlp: sizes.dMlp,
    params: parameterCount(config),
    lm_tokens: sum("lmTokens"),
    sae_tokens: sum("saeTokens"),
    saes: sum("saes"),
    flops: sum("flops"),
    optimizer_bytes: optimizerBytes(plan, configs, index),
  };
}

function optimizerBytes(
  plan: ResolvedPlan,
  configs: readonly ModelConfig[],
  index: number,
): number {
  if (lmTokensOf(plan, index, realArm) === 0) return 0;
  const frozen = index > 0 ? frozenEntries(plan, index, realArm, configs[index - 1]) : new Map();
  let trained = 0;
  for (const [name, shape] of parameterShapes(configs[index])) {
    if (frozen.get(name) !== "all") trained += sizeOf(shape);
  }
  return 2 * floatBytes * trained;
}

function momentNotes({ model, stages }: ResolvedPlan): string[] {
  return stages.flatMap(({ name, train }, i) => {
    const before = i === 0 ? model.train.tokens : stages[i - 1].train.tokens;
    if (train.optimizer === "reset" || before > 0) return [];
    return [
      `${name}: the optimizer is reset, not ${train.optimizer}: the parent is not trained in this run and has no moments`,
    ];
  });
}

const halfPrecision = 0.5;

/** Checkpoints over the training of a stage's own model and of the from-scratch one. */
function keptModels(plan: ResolvedPlan, index: number): number {
  const arms = plan.controls.arms.some((arm) => arm === "scratch" || arm === "carried-scratch")
    ? [realArm, "scratch"]
    : [realArm];
  return arms.reduce((sum, arm) => sum + checkpoints(plan, index, arm).length, 0);
}

function diskBytes(
  plan: ResolvedPlan,
  configs: readonly ModelConfig[],
  stages: readonly StageEstimate[],
): number {
  const latents =
    plan.saes.reduce((sum, { d_sae }) => sum + d_sae, 0) / Math.max(1, plan.saes.length);
  let numbers = plan.data.max_tokens ?? plan.model.train.tokens;
  stages.forEach(({ saes }, i) => {
    const isLast = i > 0 && i === plan.stages.length;
    const models = i === 0 ? 1 : isLast ? 5 : 3; // before and after training, random, controls
    numbers += models * parameterCount(configs[i]);
    numbers += halfPrecision * keptModels(plan, i) * parameterCount(configs[i]);
    numbers += (saes + 1) * 2 * (latents + addedLatents(plan, i)) * dModel(configs[i]);
    // The dump: activations and codes of held-out tokens.
    numbers +=
      plan.eval.tokens *
      plan.saes.reduce((sum, sae) => sum + dModel(configs[i]) + 2 * activeLatents(sae), 0);
  });
  const moments = stages.reduce((sum, { optimizer_bytes }) => sum + optimizer_bytes, 0);
  return Math.round(floatBytes * numbers + moments);
}

// SAEs, curves and figures; the dump is there already.
function dumpDiskBytes({ activations, saes }: ResolvedPlan): number {
  const dump = new ActivationDump(activations as string);
  return saes.reduce((sum, { hook, d_sae }) => sum + 8 * d_sae * dump.hook(hook).width, 1e6);
}
