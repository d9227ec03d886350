/**
 * @file Keeping the L0 of an L1-penalised SAE at a target: after each batch the coefficient λ is multiplied by
 * exp(rate · (L0/target − 1)), the bracket held within ±1. Without a target λ stays what it is, and so it does while the
 * penalty is still rising to its weight: a λ that answers an L0 which it doesn't yet govern ends far above where it belongs.
 */
import type { SaeTrainOptions } from "../options.ts";
import type { TrainingSae } from "../training-sae.ts";

/** Moves `sae.lambda` after the batch of the 1-based `step`, which had this L0. */
export function followTarget(
  sae: TrainingSae,
  l0: number,
  step: number,
  {
    targetL0,
    l1Rate,
    steps,
    sparsityWarmup,
  }: Pick<SaeTrainOptions, "targetL0" | "l1Rate" | "steps" | "sparsityWarmup">,
): void {
  if (targetL0 === null || step <= Math.round(steps * sparsityWarmup)) return;
  const rate = l1Rate ?? Math.max(0.01, 6 / steps);
  const off = Math.max(-1, Math.min(1, l0 / targetL0 - 1));
  sae.lambda *= Math.exp(rate * off);
}
