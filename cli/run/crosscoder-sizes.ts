/** How large a stage's crosscoders are: as its SAEs, so that both have the same room for what they are compared on. */
import type { ResolvedPlan, SaePlan } from "../plan/types.ts";

/** Latents of a stage's dictionaries, and how many of them a crosscoder is to use for a token. */
export function crosscoderSizes(
  { stages }: Pick<ResolvedPlan, "stages">,
  stage: number,
  { d_sae, k }: Pick<SaePlan, "d_sae" | "k">,
): { readonly d_sae: number; readonly k: number } {
  const added = stages.slice(0, stage).reduce((sum, { carry }) => sum + carry.new_latents, 0);
  // without a target a twentieth of the latents, what penalties often come to
  return { d_sae: d_sae + added, k: k ?? Math.ceil(d_sae / 20) };
}
