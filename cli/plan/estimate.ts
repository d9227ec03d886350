/**
 * @file --dry-run: what a plan will cost, from its sizes alone. Operations follow Kaplan et al. 2020
 * (6 per weight and token) for language models, and 6·d·m per token for an SAE trained densely. Time is
 * operations over a measured rate; read it as an order of magnitude.
 */
import {
  type Gpt2Config,
  hookWidth,
  parameterCount,
  trainingFlopsPerToken,
} from "../../src/models/index.ts";
import { stageConfigs } from "./sizes.ts";
import type { Arm, ResolvedPlan } from "./types.ts";

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
  /** Tokens that SAEs train on, over all arms. */
  readonly sae_tokens: number;
  /** How many SAEs are trained. */
  readonly saes: number;
  readonly flops: number;
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
  const { configs, notes } = stageConfigs(plan, options.where);
  const count = options.command === "train" ? 1 : configs.length;
  const stages = configs
    .slice(0, count)
    .map((config, i) => estimateStage(plan, configs, config, i));
  const total = (key: "lm_tokens" | "sae_tokens" | "flops"): number =>
    stages.reduce((sum, stage) => sum + stage[key], 0);
  const flops = total("flops");
  return {
    format: "sae-carry/dry-run",
    version: 1,
    command: options.command,
    out: options.out,
    stages,
    total: {
      lm_tokens: total("lm_tokens"),
      sae_tokens: total("sae_tokens"),
      flops,
      memory_bytes: memoryBytes(plan, configs.slice(0, count)),
      disk_bytes: diskBytes(plan, configs.slice(0, count), stages),
      seconds: options.flopsPerSecond === null ? null : flops / options.flopsPerSecond,
    },
    notes,
  };
}

function estimateStage(
  plan: ResolvedPlan,
  configs: readonly Gpt2Config[],
  config: Gpt2Config,
  index: number,
): StageEstimate {
  const isLast = index === plan.stages.length;
  const stage = index === 0 ? undefined : plan.stages[index - 1];
  const arms = plan.controls.arms;
  const has = (arm: Arm): boolean => arms.includes(arm);
  const { context } = plan.data;
  const models: { readonly config: Gpt2Config; readonly tokens: number }[] = [
    { config, tokens: stage ? stage.train.tokens : plan.model.train.tokens },
  ];
  // [SAEs on the grown model, continued ones, SAEs on the parent]
  let fresh = stage ? 0 : 1;
  let carried = 0;
  if (stage) {
    carried = 1 + (has("reinit") ? 1 : 0) + (has("same-model") ? 1 : 0);
    fresh = (has("fresh") ? 1 : 0) * plan.controls.fresh_seeds;
    if (isLast) {
      const before = plan.stages.reduce(
        (sum, { train }) => sum + train.tokens,
        plan.model.train.tokens,
      );
      if (has("scratch") || has("carried-scratch")) models.push({ config, tokens: before });
      if (has("no-expand")) {
        models.push({ config: configs[index - 1], tokens: stage.train.tokens });
        carried++;
      }
      if (has("scratch")) fresh += plan.controls.fresh_seeds;
      if (has("carried-scratch")) carried++;
    }
  } else if (plan.stages.length > 0 && has("fresh-parent")) fresh += plan.controls.fresh_seeds;
  let flops = 0;
  for (const { config: of, tokens } of models) flops += trainingFlopsPerToken(of, context) * tokens;
  let saeTokens = 0;
  for (const sae of plan.saes) {
    const width = hookWidth(configs[0], sae.hook) * (config.n_embd / configs[0].n_embd);
    const latents =
      sae.d_sae + plan.stages.slice(0, index).reduce((n, s) => n + s.carry.new_latents, 0);
    const tokens = fresh * sae.tokens + carried * (stage?.carry.tokens ?? 0);
    saeTokens += tokens;
    flops += (6 * width * latents + trainingFlopsPerToken(config, context) / 3) * tokens;
  }
  const measured = plan.eval.tokens * (1 + fresh + carried);
  flops += (trainingFlopsPerToken(config, context) / 3) * measured;
  return {
    stage: `${String(index).padStart(2, "0")}-${stage?.name ?? "base"}`,
    d_model: config.n_embd,
    n_layer: config.n_layer,
    n_head: config.n_head,
    d_mlp: config.n_inner,
    params: parameterCount(config),
    lm_tokens: models.reduce((sum, { tokens }) => sum + tokens, 0),
    sae_tokens: saeTokens,
    saes: (fresh + carried) * plan.saes.length,
    flops,
  };
}

const floatBytes = 4;
const processBytes = 300e6; // Node with a backend and the program

// The largest of: a language model in training (weights, gradients, two moments, the activations of a
// batch) and its SAEs likewise; the corpus as tokens comes on top.
function memoryBytes(plan: ResolvedPlan, configs: readonly Gpt2Config[]): number {
  const largest = configs[configs.length - 1];
  const perToken =
    largest.n_layer * (14 * largest.n_embd + 3 * largest.n_inner) + 2 * largest.vocab_size;
  const lm = 4 * parameterCount(largest) + plan.model.train.batch_tokens * perToken;
  const added = plan.stages.reduce((n, stage) => n + stage.carry.new_latents, 0);
  const saes = plan.saes.map((sae) => {
    const latents = sae.d_sae + added;
    return 8 * latents * largest.n_embd + 2 * sae.batch_tokens * latents;
  });
  const corpus = plan.data.max_tokens ?? plan.model.train.tokens;
  return Math.round(processBytes + floatBytes * (Math.max(lm, ...saes) + corpus));
}

function diskBytes(
  plan: ResolvedPlan,
  configs: readonly Gpt2Config[],
  stages: readonly StageEstimate[],
): number {
  let numbers = 0;
  configs.forEach((config, i) => {
    const latents = plan.saes.reduce((sum, { d_sae }) => sum + d_sae, 0);
    const models = i === 0 ? 1 : i === plan.stages.length ? 4 : 2;
    numbers += models * parameterCount(config);
    numbers += (stages[i].saes / plan.saes.length + 1) * 2 * latents * config.n_embd;
    numbers += plan.eval.tokens * config.n_embd * plan.saes.length;
    numbers += plan.eval.tokens * plan.saes.reduce((sum, { k }) => sum + 2 * k, 0);
  });
  return Math.round(floatBytes * (numbers + (plan.data.max_tokens ?? plan.model.train.tokens)));
}
