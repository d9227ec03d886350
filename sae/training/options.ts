/** @file How an SAE is trained: the options, their defaults, and the learning-rate schedule. */
import type { RuntimeNorm } from "../runtime-norm.ts";

/** The frames of training. */
export type TrainingNorm = "expected_average_only_in" | RuntimeNorm;

/** The norm by row of an SAE that is trained in a frame. */
export function runtimeNormOf(norm: TrainingNorm): RuntimeNorm {
  return norm === "expected_average_only_in" ? "none" : norm;
}

/** Options of a training run; all SAEs of the run share them. */
export interface SaeTrainOptions {
  /** Optimizer steps in all. */
  readonly steps: number;
  /** Peak learning rate of Adam, in the scaled frame. */
  readonly lr: number;
  /** Share of the steps that warms up linearly. */
  readonly warmup: number;
  /** Share of the steps, at the end, over which the rate falls linearly to zero. */
  readonly decay: number;
  readonly beta1: number;
  readonly beta2: number;
  /** Tokens without a firing after which a latent counts as dead. */
  readonly deadAfterTokens: number;
  /** Dead latents per token in the AuxK loss; null for half of d_out (Gao et al. 2024). */
  readonly kAux: number | null;
  /** Share of the steps over which the k of a fresh SAE falls linearly from d_in (topk, batchtopk, matryoshka_batchtopk). */
  readonly kWarmup: number;
  /** Steps after which the dead latents of fresh SAEs are drawn anew (resample.ts). */
  readonly resampleAt: readonly number[];
  /**
   * The frame of training under SAELens's names: activations times √d_in / E‖x‖ or as they are, both folded, or each row
   * without its own norm (runtime-norm.ts), in whose frame the loss is too; then every SAE's configuration says so.
   */
  readonly normalize: TrainingNorm;
  /** Weight of the newest batch in BatchTopK's moving threshold: at 0.01 it lags behind a run of 300 steps and inference keeps 10 latents of 16. */
  readonly thresholdRate: number;
  /** Share of the steps over which a penalty's coefficient rises from 0 (standard, gated, jumprelu). */
  readonly sparsityWarmup: number;
  /** L0 that the penalty is steered to (standard, gated, jumprelu); null = the coefficients as given. */
  readonly targetL0: number | null;
  /** Where λ of the L1 penalty begins (standard, gated); where it stays without a target. */
  readonly l1Coefficient: number;
  /**
   * Widths of the parts that a row is made of, such as a crosscoder's two models; they add up to d_out. The L1 penalty of
   * standard then weighs the norms of a decoder row's parts, Σ_s ‖W_dec[i, part s]‖; null = the whole row's norm.
   */
  readonly partWidths: readonly number[] | null;
  /** How fast λ follows a target (l1-controller.ts); null = 0.01 a step, or what lets it change by e⁶ in a shorter run. */
  readonly l1Rate: number | null;
  /** gated: whether the reconstruction from π⁺ trains the decoder too, as SAELens has it, or sees it frozen, as in the paper. */
  readonly gateTrainsDecoder: boolean;
  /** λ of JumpReLU's penalty over d_out, the squared norm of an average activation in the scaled frame. */
  readonly l0Coefficient: number;
  /** JumpReLU: `step` counts the latents (or, with a target, steers their number); `tanh` is a soft count. */
  readonly sparsityMode: "step" | "tanh";
  /** Steepness c of the soft count (4 in Conerly et al. 2025). */
  readonly tanhScale: number;
  /** Width ε of the window in which JumpReLU's thresholds feel a gradient, in the scaled frame. */
  readonly bandwidth: number;
  /** Where a fresh JumpReLU's thresholds begin, in the scaled frame; null = where the first batch has twice the target L0, 1 without a target. */
  readonly initThreshold: number | null;
}

/**
 * Defaults for runs of some hundred steps of about 2,000 tokens and some hundred latents, chosen on
 * a small model of real text. The rate is a fresh SAE's of up to 512 latents: one that goes on takes half of it, so that
 * it stays near its ancestor; larger ones want less (`defaultSaeRate`). A low beta1 keeps rarely firing latents alive.
 */
export const saeTrainDefaults: Omit<SaeTrainOptions, "steps"> = {
  lr: 8e-3,
  warmup: 0.05,
  decay: 0.3,
  beta1: 0.8,
  beta2: 0.99,
  deadAfterTokens: 40_000,
  kAux: null,
  kWarmup: 0,
  resampleAt: [],
  normalize: "expected_average_only_in",
  thresholdRate: 0.05,
  sparsityWarmup: 0.1,
  targetL0: null,
  l1Coefficient: 1,
  partWidths: null,
  l1Rate: null,
  gateTrainsDecoder: true,
  l0Coefficient: 1,
  sparsityMode: "step",
  tanhScale: 4,
  bandwidth: 0.5,
  initThreshold: null,
};

/**
 * The peak learning rate of a fresh SAE of `d_sae` latents, to two digits: that of `saeTrainDefaults` up to 512, then
 * falling as 1/√d_sae (the form of Gao et al. 2024 and of dictionary_learning's default). At the full rate a third of
 * 2,304 latents end up dead, at half of it 3% (docs/methods.md, 3.1).
 */
export function defaultSaeRate(d_sae: number): number {
  return Number((saeTrainDefaults.lr * Math.min(1, Math.sqrt(512 / d_sae))).toPrecision(2));
}

/** Learning rate at a 1-based step: linear warm-up, constant, linear fall to near zero at the last step. */
export function saeLearningRate(
  step: number,
  { steps, lr, warmup, decay }: Pick<SaeTrainOptions, "steps" | "lr" | "warmup" | "decay">,
): number {
  const warm = Math.round(steps * warmup);
  const fall = Math.round(steps * decay);
  const up = warm > 0 ? Math.min(1, step / warm) : 1;
  const down = fall > 0 ? Math.min(1, (steps - step + 1) / fall) : 1;
  return lr * Math.min(up, down);
}
