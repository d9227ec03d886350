/**
 * @file One training step of one SAE, after the encoder's dense product: selection, sparse
 * reconstruction, sparse gradients, AuxK (Gao et al. 2024, A.2), Adam. All in plain JavaScript on
 * host arrays, so that every backend gives the same step for the same pre-activations.
 *   loss = mean_t ‖r_t‖² + c · min(n_dead/k_aux, 1) · mean_t ‖r_t − ê_t‖²
 * with r = x − x̂, detached in the second term, and ê = Σ f_i W_dec[i, :] over the k_aux largest dead
 * latents, without b_dec. ê goes through ReLU, as in Gao et al.: a dead latent that is negative on every
 * token of a batch gets no gradient there. Selection is by unfolded pre-activations.
 */
import { adamwArray } from "../../src/engine/index.ts";
import { bucketByLatent, createBuckets, type LatentBuckets } from "../kernels/bucket.ts";
import { CodeBuffer } from "../kernels/code-buffer.ts";
import { residualAndSlopes } from "../kernels/reconstruct.ts";
import { projectOutRows, setRowNorms } from "../kernels/row-norms.ts";
import {
  type BatchTopKScratch,
  createBatchTopKScratch,
  selectBatchTopK,
  selectTopAmong,
  selectTopK,
} from "../kernels/select.ts";
import { decoderBiasGradient, weightGradients } from "../kernels/weight-gradients.ts";
import type { SaeConfig } from "../sae.ts";
import type { SaeTrainOptions } from "./options.ts";
import { type SaeArrays, saeArrayNames, type TrainingSae, zeroArrays } from "./training-sae.ts";

/** What a step did to one SAE; loss in the scaled frame. */
export interface SaeStepFigures {
  /** Mean squared error per token (summed over d_in) plus the weighted AuxK loss. */
  readonly loss: number;
  /** The weighted AuxK loss alone. */
  readonly aux_loss: number;
  /** Fraction of the batch's variance left unexplained, before the update. */
  readonly fvu: number;
  /** Mean number of active latents per token. */
  readonly l0: number;
  /** Share of latents that haven't fired for `deadAfterTokens`. */
  readonly dead_fraction: number;
}

/** Scratch for steps of one shape. */
export interface StepScratch {
  readonly gradients: SaeArrays;
  readonly codes: CodeBuffer;
  readonly auxCodes: CodeBuffer;
  readonly buckets: LatentBuckets;
  readonly batchTopK: BatchTopKScratch;
  /** The encoder as it is uploaded. */
  readonly uploaded: Float32Array; // [d_in, d_sae]
  x: Float32Array; // [n, d_in]
  residual: Float32Array; // [n, d_in]
  auxResidual: Float32Array; // [n, d_in]
  slope: Float32Array; // [≥ nnz]
}

/** Empty scratch, to be reused by all steps of SAEs of this configuration's shape. */
export function createStepScratch(cfg: SaeConfig): StepScratch {
  return {
    gradients: zeroArrays(cfg),
    codes: new CodeBuffer(),
    auxCodes: new CodeBuffer(),
    buckets: createBuckets(),
    batchTopK: createBatchTopKScratch(),
    uploaded: new Float32Array(cfg.d_in * cfg.d_sae),
    x: new Float32Array(0),
    residual: new Float32Array(0),
    auxResidual: new Float32Array(0),
    slope: new Float32Array(0),
  };
}

/**
 * Computes the loss's gradients into `scratch.gradients` and updates the dead counters and the
 * moving threshold, but no weight. `x` [n, d_in] is scaled and has b_dec subtracted, `pre`
 * [n, d_sae] is x·W_enc + b_enc, `variance` is Σ‖x − mean‖² over the batch.
 */
export function saeGradients(
  sae: TrainingSae,
  pre: Float32Array,
  x: Float32Array,
  variance: number,
  options: SaeTrainOptions,
  scratch: StepScratch,
): SaeStepFigures {
  const { cfg, weights } = sae;
  const { d_in, d_sae } = cfg;
  const n = x.length / d_in;
  const { codes, auxCodes, buckets, gradients } = scratch;
  if (scratch.residual.length !== x.length) {
    scratch.residual = new Float32Array(x.length);
    scratch.auxResidual = new Float32Array(x.length);
  }
  const { residual, auxResidual } = scratch;

  selectCodes(sae, pre, n, options, scratch);
  reserveSlopes(scratch, codes.nnz);
  const squares = residualAndSlopes(codes, n, d_in, weights.W_dec, x, residual, scratch.slope);
  bucketByLatent(codes, n, d_sae, buckets);
  weightGradients(codes, buckets, scratch.slope, residual, x, 1 / n, false, gradients);

  const dead = deadLatents(sae.sinceFired, options.deadAfterTokens);
  let auxLoss = 0;
  if (dead.length > 0 && cfg.aux_coefficient > 0) {
    const kAux = options.kAux ?? Math.ceil(d_in / 2);
    const weight = (cfg.aux_coefficient * Math.min(dead.length / kAux, 1)) / n;
    selectTopAmong(pre, n, d_sae, dead, kAux, auxCodes);
    reserveSlopes(scratch, auxCodes.nnz);
    const left = residualAndSlopes(
      auxCodes,
      n,
      d_in,
      weights.W_dec,
      residual,
      auxResidual,
      scratch.slope,
    );
    bucketByLatent(auxCodes, n, d_sae, buckets);
    weightGradients(auxCodes, buckets, scratch.slope, auxResidual, x, weight, true, gradients);
    auxLoss = weight * left;
  }
  decoderBiasGradient(residual, weights.W_enc, gradients.b_enc, 1 / n, gradients.b_dec);
  countFirings(sae.sinceFired, codes, n);
  return {
    loss: squares / n + auxLoss,
    aux_loss: auxLoss,
    fvu: squares / variance,
    l0: codes.nnz / n,
    dead_fraction: dead.length / d_sae,
  };
}

/**
 * One Adam step with the gradients in `scratch`: what would change a decoder row's norm is taken
 * out of its gradient, and the norms are set again afterwards. `step` is 1-based.
 */
export function applyGradients(
  sae: TrainingSae,
  step: number,
  lr: number,
  { beta1, beta2 }: SaeTrainOptions,
  { gradients }: StepScratch,
): void {
  const { weights, m, v, norms } = sae;
  projectOutRows(gradients.W_dec, weights.W_dec, sae.cfg.d_in);
  const numbers = { lr, beta1, beta2, eps: 1e-8, weightDecay: 0, step, scale: 1 };
  for (const name of saeArrayNames) {
    adamwArray(weights[name], gradients[name], m[name], v[name], weights[name], numbers);
  }
  setRowNorms(weights.W_dec, norms);
}

function selectCodes(
  sae: TrainingSae,
  pre: Float32Array,
  n: number,
  { thresholdRate }: SaeTrainOptions,
  { codes, batchTopK }: StepScratch,
): void {
  const { architecture, d_sae, k } = sae.cfg;
  if (architecture === "topk") {
    selectTopK(pre, n, d_sae, k, codes);
    return;
  }
  const guess = 0.7 * sae.threshold;
  const least = selectBatchTopK(pre, n, d_sae, Math.round(k * n), guess, codes, batchTopK);
  sae.threshold =
    sae.threshold > 0 ? sae.threshold + thresholdRate * (least - sae.threshold) : least;
}

function reserveSlopes(scratch: StepScratch, nnz: number): void {
  if (scratch.slope.length < nnz) scratch.slope = new Float32Array(nnz);
}

function deadLatents(sinceFired: Float64Array, after: number): Int32Array {
  const dead: number[] = [];
  for (let i = 0; i < sinceFired.length; i++) if (sinceFired[i] >= after) dead.push(i);
  return Int32Array.from(dead);
}

/** Adds the batch's n tokens to every counter and clears those of the latents that fired. */
function countFirings(sinceFired: Float64Array, codes: CodeBuffer, n: number): void {
  for (let i = 0; i < sinceFired.length; i++) sinceFired[i] += n;
  for (let p = 0; p < codes.nnz; p++) sinceFired[codes.latent[p]] = 0;
}
