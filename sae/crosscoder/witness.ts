/**
 * @file A crosscoder as a witness of persistence that owes nothing to the carried dictionary or the verdicts' rule, and
 * to the expansion map only the direction of latent scaling: each latent of an SAE is looked for in the crosscoder by
 * function (its best-correlated latent, correlation ≥ τ, strong containment both ways), and what that latent is,
 * shared or one model's, is put beside the SAE's verdict. It changes no verdict.
 */
import { pairOverlap, withLevels } from "../persistence/containment.ts";
import { correlationMatches } from "../persistence/correlation.ts";
import { firingsOf } from "../persistence/firings.ts";
import { isFunction } from "../persistence/verdicts.ts";
import type { SparseCodes } from "../sae.ts";
import type { CrosscoderClass } from "./classes.ts";

/** What a crosscoder says of a latent of an SAE; `none`: it has no latent of that function. */
export type WitnessClass = CrosscoderClass | "none";

/** A crosscoder's word on every latent of an SAE. */
export interface CrosscoderWitness {
  /** The best-correlated latent of the crosscoder; −1 where none shares a firing. */
  readonly latent: Int32Array; // [d_sae]
  /** Its correlation; NaN without. */
  readonly correlation: Float64Array; // [d_sae]
  readonly classes: readonly WitnessClass[]; // [d_sae]
}

/** Looks for each latent of `codes` in a crosscoder on the same tokens. `tau` is each latent's threshold of correlation. */
export function crosscoderWitness(
  codes: SparseCodes,
  crosscoder: { readonly codes: SparseCodes; readonly classes: readonly CrosscoderClass[] },
  tau: ArrayLike<number>, // [d_sae]
  containment: number,
): CrosscoderWitness {
  const own = withLevels(firingsOf(codes, "SAE: codes"));
  const other = withLevels(firingsOf(crosscoder.codes, "crosscoder: codes"));
  const { child: latent, correlation } = correlationMatches(own, other, crosscoder.codes);
  const classes = Array.from(latent, (j, i): WitnessClass => {
    if (j < 0) return "none";
    const overlap = { ...pairOverlap(own, i, other, j), correlation: correlation[i] };
    return isFunction(overlap, tau[i], containment) ? crosscoder.classes[j] : "none";
  });
  return { latent, correlation, classes };
}
