/** @file What a plan's `controls` may hold, as zod: part of `schema.ts`. */
import { z } from "zod";
import { armNames } from "./arm-names.ts";
import type { ControlsPlan } from "./types.ts";

const count = z.int().min(0);

/** `controls`; every key may be missing. */
export const controls: z.ZodType<Partial<ControlsPlan>> = z
  .strictObject({
    preset: z
      .enum(["quick", "standard", "full"])
      .describe("sets what follows where it is not given"),
    fresh_seeds: count.describe("fresh SAEs trained in each cell"),
    arms: z
      .array(z.enum(armNames))
      .describe(
        "control trajectories; scratch, carried-scratch and no-expand run at the last stage only; crosscoder is one between parent and child, a witness beside the verdicts, crosscoder-reinit one between the parent and the reinit model; rotated begins with all directions of the carried SAE turned by one random matrix, perturbed with a tenth of its latents turned by 45° to 60° (on the reinit model too, where that is an arm)",
      ),
    crosscoder: z
      .enum(["batchtopk", "standard"])
      .describe(
        "how crosscoders select latents: BatchTopK, or `standard`: ReLU with an L1 penalty by both decoder norms, which is known to make shared features look like one model's (Minder et al. 2025)",
      ),
    sweep: z
      .array(z.int().min(2))
      .describe("the carried SAE is also trained on for so many times carry.tokens"),
  })
  .partial();
