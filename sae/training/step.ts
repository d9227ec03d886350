/**
 * @file One training step of one SAE: selection, sparse reconstruction, sparse gradients, AuxK (Gao et al.
 * 2024, A.2), Adam. Written once; the backend's step kernels do the work.
 *   loss = mean_t ‖r_t‖² + c · min(n_dead/k_aux, 1) · mean_t ‖r_t − ê_t‖²
 * with r = x − x̂, detached in the second term, and ê = Σ f_i W_dec[i, :] over the k_aux largest dead
 * latents, without b_dec. ê goes through ReLU, as in Gao et al.: a dead latent that is negative on every
 * token of a batch gets no gradient there. Selection is by unfolded pre-activations.
 */
import type { CodeBuffer } from "../kernels/code-buffer.ts";
import type { SaeTrainOptions } from "./options.ts";
import type { StepKernels } from "./step-kernels.ts";
import type { TrainingSae } from "./training-sae.ts";

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

/** A step whose loss is known and whose weights aren't changed yet. */
export interface PreparedStep {
  readonly figures: SaeStepFigures;
  /**
   * One Adam step with this loss's gradients: what would change a decoder row's norm is taken out of its
   * gradient, and the norms are set again afterwards. `step` is 1-based. To be called before the kernels
   * prepare another step.
   */
  apply(step: number, lr: number): void;
}

/**
 * Computes the loss of a batch and updates the dead counters and the moving threshold, but no weight.
 * `rows` [n, d_in] are scaled, `variance` is Σ‖x − mean‖² over them.
 */
export async function prepareStep(
  sae: TrainingSae,
  rows: Float32Array,
  variance: number,
  options: SaeTrainOptions,
  kernels: StepKernels,
): Promise<PreparedStep> {
  const { d_in, d_sae, architecture, aux_coefficient } = sae.cfg;
  const { beta1, beta2, thresholdRate } = options;
  const n = rows.length / d_in;
  const dead = deadLatents(sae.sinceFired, options.deadAfterTokens);
  const kAux = options.kAux ?? Math.ceil(d_in / 2);
  const aux = dead.length > 0 && aux_coefficient > 0 ? { dead, k: kAux } : null;

  const least = await kernels.select(sae, rows, aux);
  if (architecture === "batchtopk") {
    sae.threshold =
      sae.threshold > 0 ? sae.threshold + thresholdRate * (least - sae.threshold) : least;
  }
  const { squares, auxSquares } = kernels.residual(sae);
  const scale = 1 / n;
  const auxScale = aux ? (aux_coefficient * Math.min(dead.length / kAux, 1)) / n : 0;
  countFirings(sae.sinceFired, kernels.codes, n);
  return {
    figures: {
      loss: squares * scale + auxSquares * auxScale,
      aux_loss: auxSquares * auxScale,
      fvu: squares / variance,
      l0: kernels.codes.nnz / n,
      dead_fraction: dead.length / d_sae,
    },
    apply(step, lr) {
      kernels.update(sae, { lr, beta1, beta2, step, scale, auxScale });
    },
  };
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
