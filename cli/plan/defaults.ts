/**
 * @file Every default of a plan, in one place. What depends on something else in the plan (a hook on
 * the number of layers, a stage's name on what it expands) is a function here; `resolve.ts` applies them.
 */
import { armNames } from "./arm-names.ts";
import type {
  ControlsPlan,
  CorpusPlan,
  EvalPlan,
  ExpandPlan,
  ModelPlan,
  ReportPlan,
  SaePlan,
  StageTrainPlan,
  TrainPlan,
} from "./types.ts";

/** Top-level scalars. */
export const planDefaults = {
  version: 1,
  seed: 0,
  backend: "auto",
  threads: "auto",
  workers: "auto",
} as const;

/** `data:` without the context (path null: the corpus that comes with the package). */
export const corpusDefaults: CorpusPlan = {
  corpus: "sotu",
  path: null,
  field: "text",
  held_out: 0.1,
  order: "shuffled",
  filter: null,
  max_tokens: null,
};

/** `data.context`. */
export const contextTokens = 64;

/** `tokenizer.vocab_size`. */
export const vocabularySize = 1024;

/** `model:` without its training. */
export const modelDefaults: Omit<ModelPlan, "train" | "mlp"> & { readonly mlp: string } = {
  path: null,
  family: "gpt2",
  d_model: 64,
  layers: 2,
  heads: 4,
  kv_heads: null,
  mlp: "4x",
};

/** `model.train:`. */
export const trainDefaults: TrainPlan = {
  tokens: 600_000,
  batch_tokens: 2048,
  lr: 3e-3,
  warmup: 0.05,
  min_lr_ratio: 0.1,
  weight_decay: 0.1,
  clip: 1,
  beta1: 0.9,
  beta2: 0.95,
};

/** What a stage's `train:` doesn't take over from `model.train`. */
export const stageTrainDefaults: Omit<StageTrainPlan, keyof TrainPlan> & Pick<TrainPlan, "tokens"> =
  {
    tokens: 400_000,
    optimizer: "carry",
    freeze: "none",
    checkpoints: 3,
  };

/** `train.lr` of a stage whose base came from a checkpoint: the rate that it was trained at is not known. */
export const checkpointStageRate = 1e-3;

/** One entry of `saes:` (the hook depends on the model: `defaultHook`; the rate and `dead_after_tokens` on the latents). */
export const saeDefaults: Omit<SaePlan, "hook" | "lr" | "dead_after_tokens"> = {
  name: "resid",
  from: null,
  from_sha256: null,
  from_tokens: 0,
  hook_out: null,
  skip_connection: false,
  architecture: "batchtopk",
  d_sae: 768,
  k: 16,
  matryoshka_widths: null,
  tokens: 600_000,
  batch_tokens: 2048,
  // as in dictionary_learning's demo; small models have no such tokens behind the first
  max_norm_ratio: 10,
  warmup: 0.05,
  decay: 0.3,
  beta1: 0.8,
  beta2: 0.99,
  normalize_activations: "expected_average_only_in",
  aux_coefficient: 1,
  k_aux: null,
  resample_at: [],
  k_warmup: 0,
  threshold_rate: 0.05,
  sparsity_warmup: 0.1,
  l1_coefficient: 1,
  l1_rate: null,
  gate_trains_decoder: true,
  l0_coefficient: 1,
  sparsity_mode: "step",
  tanh_scale: 4,
  bandwidth: 0.5,
  init_threshold: null,
};

/**
 * `saes[].dead_after_tokens`: in so many tokens a latent of average frequency k / d_sae fires 100 times; at least 10,000,
 * at which fewer latents end up dead than at 40,000 in every run of some hundred steps that was tried, of 512 to 2,304
 * latents (docs/quality.md, docs/methods.md 3.1); 10,000 where k is null.
 */
export function defaultDeadAfter(d_sae: number, k: number | null): number {
  return Math.max(10_000, k === null ? 0 : Math.ceil((100 * d_sae) / k));
}

/** `saes[].matryoshka_widths` of a matryoshka_batchtopk SAE. */
export function defaultMatryoshkaWidths(d_sae: number): number[] {
  return [...new Set([8, 4, 2, 1].map((share) => Math.ceil(d_sae / share)))];
}

/** The residual stream after the middle of the model. */
export function defaultHook(layers: number): string {
  return `blocks.${Math.max(0, Math.ceil(layers / 2) - 1)}.hook_resid_post`;
}

/** A stage's `expand:`. */
export const expandDefaults: ExpandPlan = {
  width: null,
  layers: null,
  heads: null,
  kv_heads: null,
  head_dim: null,
  mlp: null,
  vocab: null,
  experts: null,
  experts_per_token: null,
  method: "lemon",
  depth_method: "identity",
  positions: "interleaved",
  noise_db: 0,
  ligo_steps: 100,
  ligo_lr: 0.01,
};

/** `carry.tokens` of a stage. */
export const carryTokens = 300_000;

/** `carry.new_latents` of a stage: a sixth of the smallest SAE; 0 without SAEs. */
export function defaultNewLatents(saes: readonly Pick<SaePlan, "d_sae">[]): number {
  if (saes.length === 0) return 0;
  return Math.round(Math.min(...saes.map(({ d_sae }) => d_sae)) / 6);
}

/** `controls.crosscoder`: the one with the fewest artefacts (Minder et al. 2025). */
const crosscoderDefault = "batchtopk";

/** What `controls.preset` stands for. */
export const presets: Readonly<Record<ControlsPlan["preset"], Omit<ControlsPlan, "preset">>> = {
  quick: {
    fresh_seeds: 1,
    arms: ["frozen", "fresh", "reinit"],
    crosscoder: crosscoderDefault,
    sweep: [],
  },
  standard: {
    fresh_seeds: 2,
    arms: armNames.filter((arm) => arm !== "crosscoder-reinit"),
    crosscoder: crosscoderDefault,
    sweep: [],
  },
  full: {
    fresh_seeds: 4,
    arms: armNames,
    crosscoder: crosscoderDefault,
    sweep: [4, 16],
  },
};

/** `controls.preset`. */
export const defaultPreset: ControlsPlan["preset"] = "standard";

/** Pairs of latents whose ablation effects a comparison measures, at most: each is two passes of a sequence in both models. */
export const effectPairs = 128;

/** `eval:`. */
export const evalDefaults: EvalPlan = {
  tokens: 50_000,
  min_firings: 50,
  bootstrap: 200,
};

/** `report:`. */
export const reportDefaults: ReportPlan = {
  title: "Which features came along?",
  contexts_per_latent: 5,
};

/** `report.title` of a plan without SAEs. */
export const growthTitle = "What did growing buy?";

/** A stage's name from what it changes: `wider`, `deeper`, `bigger`, or what of the width alone. */
export function defaultStageName(expand: ExpandPlan): string {
  const { width, layers, heads, kv_heads, head_dim, mlp, vocab, experts, positions } = expand;
  const grows = (...sizes: readonly ExpandPlan["width"][]) => sizes.some((size) => size !== null);
  const widens = grows(width, heads, kv_heads, head_dim);
  if (experts !== null) {
    const isAlone = !widens && !grows(mlp, vocab, layers) && typeof positions === "string";
    return isAlone ? "experts" : "bigger";
  }
  // a list of positions adds as many layers
  if (layers !== null || typeof positions !== "string") {
    return widens || grows(mlp, vocab) ? "bigger" : "deeper";
  }
  if (widens || !grows(mlp, vocab)) return "wider";
  if (mlp === null) return "more-tokens";
  return vocab === null ? "more-neurons" : "wider";
}
