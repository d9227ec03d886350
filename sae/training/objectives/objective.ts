/**
 * @file What sets the architectures apart in training: which pre-activations a batch keeps, what their values are, what
 * the loss has beside the reconstruction, and the arrays trained beside the four common ones. The loss is
 *   mean_t ‖x_t − x̂_t‖² + an architecture's own terms,
 * and an objective hands on −½·n · ∂loss/∂pre as "slopes", which for a bare reconstruction are r · W_dec[i, :].
 */
import type { SaeTrainOptions } from "../options.ts";
import type { PartPenalty, SelectionRule, StepKernels } from "../step-kernels.ts";
import type { TrainingSae } from "../training-sae.ts";

/** One batch of one SAE. */
export interface Batch {
  readonly sae: TrainingSae;
  /** Rows. */
  readonly n: number;
  /** 1-based. */
  readonly step: number;
  readonly options: SaeTrainOptions;
}

/** What an objective adds to a step. */
export interface ObjectiveFigures {
  /** Its own part of the loss. */
  readonly penalty: number;
  /** Gradients of the SAE's own arrays, by name. */
  readonly gradients: Readonly<Record<string, Float32Array>>;
  /** The penalty as a function of the decoder, where it depends on more than the norms that are held. */
  readonly partPenalty?: PartPenalty;
}

/** How one architecture is trained. */
export interface Objective {
  /** What the batch keeps. */
  rule(batch: Batch): SelectionRule;
  /** Widths of prefixes that reconstruct by themselves, beside the whole. */
  widths?(sae: TrainingSae): readonly number[];
  /** After a selection by rank: `least` is the smallest value kept. */
  selected?(batch: Batch, least: number): void;
  /** After the selection: from the pre-activations [nnz] to codes, in the kernels' place. */
  encode?(batch: Batch, kernels: StepKernels, pre: Float32Array): void;
  /** After the residuals: penalties into the slopes, gradients of the own arrays. `pre` where `encode` had it. */
  slopes?(batch: Batch, kernels: StepKernels, pre: Float32Array): ObjectiveFigures;
}

/** Share of a coefficient at a step: rises from 0 over the sparsity warm-up. */
export function warmedUp(step: number, { steps, sparsityWarmup }: SaeTrainOptions): number {
  const warm = Math.round(steps * sparsityWarmup);
  return warm > 0 ? Math.min(1, step / warm) : 1;
}

/** How many of the codes are above zero: those that fire. */
export function firing({ codes: { value, nnz } }: StepKernels): number {
  let count = 0;
  for (let p = 0; p < nnz; p++) if (value[p] > 0) count += 1;
  return count;
}
