/**
 * @file --dry-run: what a plan will cost, from its sizes alone. Operations follow Kaplan et al. 2020
 * (6 per weight and token) for language models; an SAE's step is a dense product, 2·d·m per token, and
 * sparse work, about 12·k·d. Time is operations over a measured rate: an order of magnitude.
 */
import { sizeOf } from "../../src/io/index.ts";
import {
  hookWidth,
  type ModelConfig,
  modelSizes,
  parameterCount,
  parameterShapes,
  trainingFlopsPerToken,
} from "../../src/models/index.ts";
import { crosscoderSizes } from "../run/crosscoder-sizes.ts";
import { frozenEntries } from "../run/frozen.ts";
import { taskGraph } from "../run/graph.ts";
import { realArm, stageName } from "../run/layout.ts";
import { learnedTokens } from "../run/planned-growth.ts";
import type { TaskSpec } from "../run/task.ts";
import { stageConfigs } from "./sizes.ts";
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

/** Answer of --dry-run. */
export interface DryRun {
  readonly format: "sae-carry/dry-run";
  readonly version: 1;
  readonly command: string;
  readonly out: string;
  readonly stages: readonly StageEstimate[];
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
  /** Operations a second that training reaches, over all workers; null = unknown. */
  readonly flopsPerSecond: number | null;
}

/** Works out a plan's cost. Errors: those of `stageConfigs`. */
export function estimateRun(plan: ResolvedPlan, options: EstimateOptions): DryRun {
  const { command, out, where, flopsPerSecond } = options;
  const { configs, notes } = stageConfigs(plan, where);
  const tasks = taskGraph(plan, command === "train" ? "train" : undefined);
  const count = Math.max(...tasks.map((task) => task.stage)) + 1;
  const stages = configs.slice(0, count).map((_, i) => {
    const own = tasks.filter((task) => task.stage === i).map((task) => task.spec);
    return estimateStage(plan, configs, own, i);
  });
  const total = (key: "lm_tokens" | "sae_tokens" | "flops"): number =>
    stages.reduce((sum, stage) => sum + stage[key], 0);
  const flops = total("flops");
  return {
    format: "sae-carry/dry-run",
    version: 1,
    command,
    out,
    stages,
    total: {
      lm_tokens: total("lm_tokens"),
      sae_tokens: total("sae_tokens"),
      flops,
      memory_bytes: memoryBytes(plan, configs.slice(0, count)),
      disk_bytes: diskBytes(plan, configs, stages),
      seconds: flopsPerSecond === null ? null : flops / flopsPerSecond,
    },
    notes: [...notes, ...momentNotes(plan)],
  };
}

function estimateStage(
  plan: ResolvedPlan,
  configs: readonly ModelConfig[],
  specs: readonly TaskSpec[],
  index: number,
): StageEstimate {
  const stage = index === 0 ? undefined : plan.stages[index - 1];
  const config = configs[index];
  const sizes = modelSizes(config);
  const perToken = (of: ModelConfig): number => trainingFlopsPerToken(of, plan.data.context);
  let lmTokens = 0;
  let saeTokens = 0;
  let saes = 0;
  let flops = 0;
  for (const spec of specs) {
    if (spec.kind === "language-model") {
      const tokens = lmTokensOf(plan, index, spec.arm);
      lmTokens += tokens;
      flops += perToken(spec.arm === "no-expand" ? configs[index - 1] : config) * tokens;
    } else if (spec.kind === "sae") {
      const of = spec.model.arm === "no-expand" ? configs[index - 1] : configs[spec.model.stage];
      for (const sae of plan.saes) {
        const width = hookWidth(configs[0], sae.hook) * (dModel(of) / dModel(configs[0]));
        const latents = sae.d_sae + addedLatents(plan, index);
        const lengths = spec.jobs.map(({ start }) =>
          start === "fresh" ? sae.tokens : (stage?.carry.tokens ?? 0),
        );
        const tokens = lengths.reduce((sum, length) => sum + length, 0);
        saes += lengths.length;
        saeTokens += tokens;
        // Side by side on one stream of activations, which a forward pass (a third of training) makes.
        flops +=
          (2 * latents + 12 * activeLatents(sae)) * width * tokens +
          (perToken(of) / 3) * Math.max(...lengths);
      }
    } else if (spec.kind === "crosscoder") {
      // one pass of each model, and a step as wide as both activations together
      const pair = [configs[index - 1], config];
      for (const sae of plan.saes) {
        const { d_sae, k } = crosscoderSizes(plan, index, sae);
        const widths = pair.map(
          (of) => hookWidth(configs[0], sae.hook) * (dModel(of) / dModel(configs[0])),
        );
        saes += 1;
        saeTokens += sae.tokens;
        flops += (2 * d_sae + 12 * k) * (widths[0] + widths[1]) * sae.tokens;
        flops += ((perToken(pair[0]) + perToken(pair[1])) / 3) * sae.tokens;
      }
    }
  }
  flops += (perToken(config) / 3) * plan.eval.tokens * (1 + saes);
  flops += perToken(config) * learnedTokens(plan, index);
  return {
    stage: stageName(plan, index),
    d_model: sizes.dModel,
    n_layer: sizes.nLayer,
    n_head: sizes.nHead,
    d_mlp: sizes.dMlp,
    params: parameterCount(config),
    lm_tokens: lmTokens,
    sae_tokens: saeTokens,
    saes,
    flops,
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

// The from-scratch model gets the tokens of all stages so far, the unexpanded one those of the last.
function lmTokensOf({ model, stages }: ResolvedPlan, index: number, arm: string): number {
  const own = index === 0 ? model.train.tokens : stages[index - 1].train.tokens;
  if (arm !== "scratch") return own;
  return stages.slice(0, index).reduce((sum, { train }) => sum + train.tokens, model.train.tokens);
}

function addedLatents(plan: ResolvedPlan, index: number): number {
  return plan.stages.slice(0, index).reduce((sum, { carry }) => sum + carry.new_latents, 0);
}

function dModel(config: ModelConfig): number {
  return modelSizes(config).dModel;
}

const floatBytes = 4;
const processBytes = 300e6; // Node with a backend and the program

// The largest of: a language model in training (weights, gradients, two moments, the activations of a
// batch) and its SAEs likewise; the corpus as tokens comes on top.
function memoryBytes(plan: ResolvedPlan, configs: readonly ModelConfig[]): number {
  const largest = configs[configs.length - 1];
  const sizes = modelSizes(largest);
  const perToken =
    sizes.nLayer * (14 * sizes.dModel + 3 * sizes.dMlp * (sizes.experts?.perToken ?? 1)) +
    2 * sizes.vocabSize;
  const lm = 4 * parameterCount(largest) + plan.model.train.batch_tokens * perToken;
  const added = addedLatents(plan, plan.stages.length);
  const saes = plan.saes.map((sae) => {
    const latents = sae.d_sae + added;
    return 8 * latents * sizes.dModel + 2 * sae.batch_tokens * latents;
  });
  const corpus = plan.data.max_tokens ?? plan.model.train.tokens;
  return Math.round(processBytes + floatBytes * (Math.max(lm, ...saes) + corpus));
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
    numbers += (saes + 1) * 2 * (latents + addedLatents(plan, i)) * dModel(configs[i]);
    // The dump: activations and codes of held-out tokens.
    numbers +=
      plan.eval.tokens *
      plan.saes.reduce((sum, sae) => sum + dModel(configs[i]) + 2 * activeLatents(sae), 0);
  });
  const moments = stages.reduce((sum, { optimizer_bytes }) => sum + optimizer_bytes, 0);
  return Math.round(floatBytes * numbers + moments);
}

// Without a target nobody knows; a twentieth of the latents is what penalties often come to.
function activeLatents({ k, d_sae }: ResolvedPlan["saes"][number]): number {
  return k ?? Math.ceil(d_sae / 20);
}
