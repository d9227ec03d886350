/**
 * @file The parts of a training step that touch every token or every weight, as an interface with two
 * implementations of the same mathematics: plain loops after a dense product on the engine, which are the
 * specification, and the native addon. A step is select, residual, update, in this order; an objective may
 * change the selected values before `residual` and the slopes before `update`.
 */
import type { CodeBuffer } from "../kernels/code-buffer.ts";
import type { TrainingSae } from "./training-sae.ts";

/** Which pre-activations a batch keeps: the k largest of every row, the largest of the batch, or all above a threshold a latent. */
export type SelectionRule =
  | { readonly kind: "top"; readonly k: number }
  | { readonly kind: "largest"; readonly total: number }
  | { readonly kind: "above"; readonly threshold: Float32Array };

/** The latents that the AuxK term may use, and how many of them per token. */
export interface AuxSelection {
  readonly dead: Int32Array; // ascending
  readonly k: number;
}

/** Sums of squares of the residuals that the loss is made of. */
export interface Squares {
  /** Σ‖r‖² of the reconstruction's residual r. */
  readonly main: number;
  /** Σ‖r_w‖² over the reconstructions from the narrower prefixes; 0 without. */
  readonly prefixes: number;
  /** Σ‖r − ê‖² with AuxK; 0 without. */
  readonly aux: number;
}

/** A term Σ_i c_i Σ_s ‖part s of W_dec[i, :]‖ of the loss. */
export interface PartPenalty {
  /** The parts' widths; they add up to d_out. */
  readonly widths: readonly number[];
  readonly coefficients: Float32Array; // [d_sae]
}

/** Numbers of the update; the scales are those of the terms' squared residuals in the loss. */
export interface UpdateNumbers {
  readonly lr: number;
  readonly beta1: number;
  readonly beta2: number;
  /** 1-based. */
  readonly step: number;
  /** Of the reconstruction and of those from prefixes. */
  readonly scale: number;
  readonly auxScale: number;
  /** Whether decoder rows keep the norms that the step gives them; else they are held at the SAE's. */
  readonly freeNorms: boolean;
  /** A penalty on the decoder beside the reconstructions; null = none. */
  readonly partPenalty?: PartPenalty | null;
}

/** One implementation, with the buffers for SAEs of one shape. */
export interface StepKernels {
  /** The selected codes, until the next selection. */
  readonly codes: CodeBuffer;
  /**
   * Encodes rows [n, d_in], less b_dec where the SAE reads them so, and selects pre-activations by the rule and, with `aux`, the largest dead latents.
   * Resolves with the smallest value that the rule "largest" selected (0 of none); with 0 for the others.
   */
  select(
    sae: TrainingSae,
    rows: Float32Array,
    rule: SelectionRule,
    aux: AuxSelection | null,
  ): Promise<number>;
  /** Takes the values of `codes`, changed by the caller after `select`, as the codes. */
  takeValues(): void;
  /**
   * The residuals and slopes of the reconstruction, of those from the latents below each width, and of AuxK. The codes
   * are to make up `goal` [n, d_out], by default the rows as the encoder reads them.
   */
  residual(sae: TrainingSae, widths: readonly number[], goal?: Float32Array): Squares;
  /** The sum of the residuals of the reconstruction, of those from the narrower prefixes and of evaluated values that train [n, d_out]. */
  wholeResidual(): Float32Array;
  /** The slopes r · W_dec[i, :] of the main reconstruction's codes [≥ nnz]; `takeSlopes` takes what the caller makes of them. */
  slopes(): Float32Array;
  /** Takes the changed slopes: −½·n of the loss's gradient by each code's pre-activation. */
  takeSlopes(): void;
  /**
   * The same support with other values: Σ‖goal − Σ v W_dec‖² and its slopes, which the caller adds to the others where
   * the encoder is to learn from them. With `train` the decoder and its bias do, as from the reconstruction.
   */
  evaluate(
    sae: TrainingSae,
    values: Float32Array,
    train: boolean,
  ): { squares: number; slopes: Float32Array };
  /** One Adam step on every common array; decoder rows are held at their norms unless those are free. */
  update(sae: TrainingSae, numbers: UpdateNumbers): void;
}
