/** The peak learning rate of an SAE that goes on after an expansion. */
import type { CarryPlan, SaePlan } from "./types.ts";

/**
 * The stage's `carry.lr`, or half of the SAE's own rate: a dictionary that goes on is past the part of training that
 * wants a high one, and is to stay near its ancestor (docs/methods.md, 3.1). In the frame of `saes[].lr`.
 */
export function carryRate(carry: CarryPlan, sae: Pick<SaePlan, "lr">): number {
  return carry.lr ?? sae.lr / 2;
}
