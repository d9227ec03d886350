/**
 * @file One training step of one SAE: selection, sparse reconstruction, sparse gradients, AuxK (Gao et al.
 * 2024, A.2), Adam. Written once for all architectures; their objectives say what each adds, the backend's step
 * kernels do the work.
 *   loss = mean_t ‖r_t‖² + the objective's terms + c · min(n_dead/k_aux, 1) · mean_t ‖r_t − ê_t‖²
 * with r = x − x̂ (y − ŷ of a transcoder with the targets y), detached in the second term, and ê = Σ f_i W_dec[i, :] over the k_aux largest dead
 * latents, without b_dec. ê goes through ReLU, as in Gao et al.: a dead latent that is negative on every
 * token of a batch gets no gradient there. Selection is by unfolded pre-activations.
 */

import { adamwArray, hostView, tf } from "../../src/engine/index.ts";
import { skipProduct } from "../decode.ts";
import type { CodeBuffer } from "../kernels/code-buffer.ts";
import { rowNorms } from "../kernels/row-norms.ts";
import { objectives } from "./objectives/index.ts";
import type { Batch, ObjectiveFigures } from "./objectives/objective.ts";
import type { SaeTrainOptions } from "./options.ts";
import type { StepKernels } from "./step-kernels.ts";
import { adamEpsilon, holdsNorms, type TrainingSae } from "./training-sae.ts";

/** What a step did to one SAE; loss in the scaled frame. */
export interface SaeStepFigures {
  /** Mean squared error per token (summed over d_in), the objective's own terms and the weighted AuxK loss. */
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

/** A step whose loss is known and whose weights aren't changed yet. */
export interface PreparedStep {
  readonly figures: SaeStepFigures;
  /**
   * One Adam step with this loss's gradients: what would change a decoder row's norm is taken out of its
   * gradient, and the norms are set again afterwards, but for a transcoder's, which are free. `step` is 1-based. To be called before the kernels
   * prepare another step.
   */
  apply(step: number, lr: number): void;
}

/**
 * Computes the loss of a batch and updates the dead counters, the moving threshold and a followed coefficient, but no
 * weight. `rows` [n, d_in] are scaled, `taken` counts the steps before. `targets` [n, d_out] are what a transcoder is to
 * reconstruct, scaled; `variance` is Σ‖y − mean‖² over them.
 */
export async function prepareStep(
  sae: TrainingSae,
  rows: Float32Array,
  variance: number,
  options: SaeTrainOptions,
  kernels: StepKernels,
  taken = 0,
  targets: Float32Array = rows,
): Promise<PreparedStep> {
  const { d_in, d_out, d_sae, architecture, aux_coefficient } = sae.cfg;
  const objective = objectives[architecture];
  const { beta1, beta2 } = options;
  const n = rows.length / d_in;
  const batch: Batch = { sae, n, step: taken + 1, options };
  const dead = deadLatents(sae.sinceFired, options.deadAfterTokens);
  const kAux = options.kAux ?? Math.ceil(d_out / 2);
  const aux = dead.length > 0 && aux_coefficient > 0 ? { dead, k: kAux } : null;

  const freeNorms = !holdsNorms(sae.cfg);
  if (freeNorms) sae.norms.set(rowNorms(sae.weights.W_dec, d_out));
  const least = await kernels.select(sae, rows, objective.rule(batch), aux);
  objective.selected?.(batch, least);
  const { value, nnz } = kernels.codes;
  const pre = objective.encode ? value.slice(0, nnz) : value;
  objective.encode?.(batch, kernels, pre);
  const goal = await goalOf(sae, rows, targets);
  const squares = kernels.residual(sae, objective.widths?.(sae) ?? [], goal);
  const own: ObjectiveFigures = objective.slopes?.(batch, kernels, pre) ?? {
    penalty: 0,
    gradients: {},
  };
  const scale = 1 / n;
  const auxScale = aux ? (aux_coefficient * Math.min(dead.length / kAux, 1)) / n : 0;
  const skip = await skipGradient(sae, rows, kernels, scale);
  const gradients = { ...own.gradients, ...(skip && { W_skip: skip }) };
  const fired = countFirings(sae.sinceFired, kernels.codes, n);
  return {
    figures: {
      loss: (squares.main + squares.prefixes) * scale + squares.aux * auxScale + own.penalty,
      aux_loss: squares.aux * auxScale,
      fvu: squares.main / variance,
      l0: fired / n,
      dead_fraction: dead.length / d_sae,
    },
    apply(step, lr) {
      const partPenalty = own.partPenalty ?? null;
      kernels.update(sae, { lr, beta1, beta2, step, scale, auxScale, freeNorms, partPenalty });
      const numbers = { lr, beta1, beta2, eps: adamEpsilon, weightDecay: 0, step, scale: 1 };
      for (const [name, gradient] of Object.entries(gradients)) {
        const { weights, m, v } = sae.own[name];
        adamwArray(weights, gradient, m, v, weights, numbers);
      }
    },
  };
}

/** What the codes are to make up: targets − b_dec − W_skip x. Undefined where that is what the encoder reads. */
async function goalOf(
  { cfg, weights: { b_dec }, own: { W_skip } }: TrainingSae,
  rows: Float32Array,
  targets: Float32Array,
): Promise<Float32Array | undefined> {
  if (targets === rows && cfg.apply_b_dec_to_input && !W_skip) return undefined;
  const { d_in, d_out } = cfg;
  const goal = new Float32Array(targets.length);
  for (let i = 0; i < goal.length; i++) goal[i] = targets[i] - b_dec[i % d_out];
  if (W_skip) {
    const x = tf.tensor2d(rows, [rows.length / d_in, d_in]);
    const skipped = await skipProduct(W_skip.weights, x);
    x.dispose();
    for (let i = 0; i < goal.length; i++) goal[i] -= skipped[i];
  }
  return goal;
}

/** ∂loss/∂W_skip = −2 scale Σ_t r_t x_tᵀ over all residuals that the skip connection is part of; undefined without one. */
async function skipGradient(
  { cfg, own }: TrainingSae,
  rows: Float32Array,
  kernels: StepKernels,
  scale: number,
): Promise<Float32Array | undefined> {
  if (!own.W_skip) return undefined;
  const residual = kernels.wholeResidual(); // [n, d_out]
  const n = rows.length / cfg.d_in;
  const product = tf.tidy(() => {
    const r = tf.tensor2d(residual, [n, cfg.d_out]);
    return tf.mul(tf.matMul(r, tf.tensor2d(rows, [n, cfg.d_in]), true), -2 * scale);
  });
  const gradient = (hostView(product) ?? ((await product.data()) as Float32Array)).slice();
  product.dispose();
  return gradient;
}

/** The latents that haven't fired for `after` tokens, ascending. */
export function deadLatents(sinceFired: Float64Array, after: number): Int32Array {
  const dead: number[] = [];
  for (let i = 0; i < sinceFired.length; i++) if (sinceFired[i] >= after) dead.push(i);
  return Int32Array.from(dead);
}

/** Adds the batch's n tokens to every counter and clears those of the latents that fired; returns how many codes did. */
function countFirings(
  sinceFired: Float64Array,
  { latent, value, nnz }: CodeBuffer,
  n: number,
): number {
  let fired = 0;
  for (let i = 0; i < sinceFired.length; i++) sinceFired[i] += n;
  for (let p = 0; p < nnz; p++) {
    if (value[p] === 0) continue; // near a threshold, not above it
    sinceFired[latent[p]] = 0;
    fired += 1;
  }
  return fired;
}
