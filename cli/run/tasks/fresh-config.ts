/** @file The configuration of an SAE that a plan trains from its beginning. */
import { architectures, runtimeNormOf, type SaeConfig, saeConfig } from "../../../sae/index.ts";
import type { SaePlan } from "../../plan/types.ts";
import { firstTokensExcluded } from "./held-out.ts";

/** The configuration of `plan` with `d_sae` latents: as many as planned, or more in a grown stage. */
export function freshConfig(
  plan: SaePlan,
  d_sae: number,
  where: Pick<
    SaeConfig,
    "d_in" | "d_out" | "hook_name" | "hook_name_out" | "model_name" | "context_size"
  >,
): SaeConfig {
  return saeConfig({
    architecture: plan.architecture,
    d_sae,
    skip_connection: plan.skip_connection,
    k: architectures[plan.architecture].k === "none" ? null : plan.k,
    // a grown stage's dictionary is wider; the whole of it is the last prefix
    matryoshka_widths: plan.matryoshka_widths && [...plan.matryoshka_widths.slice(0, -1), d_sae],
    normalize_activations: runtimeNormOf(plan.normalize_activations),
    first_tokens_excluded: firstTokensExcluded,
    max_norm_ratio: plan.max_norm_ratio,
    aux_coefficient: plan.aux_coefficient,
    ...where,
  });
}
