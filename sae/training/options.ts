/** @file How an SAE is trained: the options, their defaults, and the learning-rate schedule. */

/** Options of a training run; all SAEs of the run share them. */
export interface SaeTrainOptions {
  /** Optimizer steps in all. */
  readonly steps: number;
  /** Peak learning rate of Adam, in the scaled frame; null for `defaultSaeLr` of each SAE. */
  readonly lr: number | null;
  /** Share of the steps that warms up linearly. */
  readonly warmup: number;
  /** Share of the steps, at the end, over which the rate falls linearly to zero. */
  readonly decay: number;
  readonly beta1: number;
  readonly beta2: number;
  /** Tokens without a firing after which a latent counts as dead. */
  readonly deadAfterTokens: number;
  /** Dead latents per token in the AuxK loss; null for half of d_in (Gao et al. 2024). */
  readonly kAux: number | null;
  /** Weight of the newest batch in BatchTopK's moving threshold. */
  readonly thresholdRate: number;
}

/**
 * Defaults for runs of some hundred steps of about 2,000 tokens, chosen by held-out FVU and dead
 * latents on a small model of real text. A low beta1 keeps rarely firing latents alive.
 */
export const saeTrainDefaults: Omit<SaeTrainOptions, "steps"> = {
  lr: null,
  warmup: 0.05,
  decay: 0.2,
  beta1: 0.8,
  beta2: 0.99,
  deadAfterTokens: 40_000,
  kAux: null,
  thresholdRate: 0.02,
};

/**
 * Peak rate for an SAE of this many latents: falls with √d_sae, as dictionary_learning's does, from
 * 0.008 at 768 (short runs want more than its 2e-4 at 16,384).
 */
export function defaultSaeLr(dSae: number): number {
  return 0.008 * Math.sqrt(768 / dSae);
}

/** Share of the peak rate at a 1-based step: linear warm-up, constant, linear fall to near zero at the last step. */
export function rateShare(
  step: number,
  { steps, warmup, decay }: Pick<SaeTrainOptions, "steps" | "warmup" | "decay">,
): number {
  const warm = Math.round(steps * warmup);
  const fall = Math.round(steps * decay);
  const up = warm > 0 ? Math.min(1, step / warm) : 1;
  const down = fall > 0 ? Math.min(1, (steps - step + 1) / fall) : 1;
  return Math.min(up, down);
}
