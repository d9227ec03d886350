/**
 * @file Keeping the L0 of an L1-penalised SAE at a target: after each batch the coefficient λ is multiplied by
 * exp(rate · (L0/target − 1)), the bracket held within ±1. Without a target λ stays what it is.
 */
import type { SaeTrainOptions } from "../options.ts";
import type { TrainingSae } from "../training-sae.ts";

/** Moves `sae.lambda` after a batch with this L0. */
export function followTarget(
  sae: TrainingSae,
  l0: number,
  { targetL0, l1Rate, steps }: Pick<SaeTrainOptions, "targetL0" | "l1Rate" | "steps">,
): void {
  if (targetL0 === null) return;
  const rate = l1Rate ?? Math.max(0.03, 6 / steps);
  const off = Math.max(-1, Math.min(1, l0 / targetL0 - 1));
  sae.lambda *= Math.exp(rate * off);
}
