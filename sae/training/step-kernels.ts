/**
 * @file The parts of a training step that touch every token or every weight, as an interface with two
 * implementations of the same mathematics: plain loops after a dense product on the engine, which are the
 * specification, and the native addon. A step is select, residual, update, in this order.
 */
import type { CodeBuffer } from "../kernels/code-buffer.ts";
import type { TrainingSae } from "./training-sae.ts";

/** The latents that the AuxK term may use, and how many of them per token. */
export interface AuxSelection {
  readonly dead: Int32Array; // ascending
  readonly k: number;
}

/** Numbers of the update; the scales are those of the two terms' squared residuals in the loss. */
export interface UpdateNumbers {
  readonly lr: number;
  readonly beta1: number;
  readonly beta2: number;
  /** 1-based. */
  readonly step: number;
  readonly scale: number;
  readonly auxScale: number;
}

/** One implementation, with the buffers for SAEs of one shape. */
export interface StepKernels {
  /** The selected codes, until the next selection. */
  readonly codes: CodeBuffer;
  /**
   * Encodes rows [n, d_in] and selects the SAE's codes and, with `aux`, the largest dead latents.
   * Resolves with the smallest code selected by BatchTopK (0 of none); with 0 for TopK.
   */
  select(sae: TrainingSae, rows: Float32Array, aux: AuxSelection | null): Promise<number>;
  /** Σ‖r‖² of the reconstruction's residual r and, with AuxK, Σ‖r − ê‖² (else 0). */
  residual(sae: TrainingSae): { readonly squares: number; readonly auxSquares: number };
  /** One Adam step on every array, decoder rows held at their norms. */
  update(sae: TrainingSae, numbers: UpdateNumbers): void;
}
