// What a crosscoder between parent and child says, inside persistence.json.
import { z } from "zod";
import type { CrosscoderDocument } from "../../sae/index.ts";
import { count, measured, text, threshold } from "./values.ts";

const classCounts = {
  unknown: count.describe("fire too rarely to tell"),
  shared: count,
  parent_only: count,
  child_only: count,
};

const crosscoderFigures = {
  architecture: text,
  d_sae: count,
  l0: z.number(),
  fvu_parent: z.number(),
  fvu_child: z.number(),
  latents: z.strictObject(classCounts).describe("after latent scaling"),
  by_norm: z.strictObject(classCounts).describe("by decoder norms alone"),
  aligned: count.describe("shared, and both parts in one direction through the map"),
  unmasked: z
    .strictObject({ shrinkage: count, decoupling: count })
    .describe("one model's by norms, shared by latent scaling, by artefact"),
  thresholds: z.strictObject({
    norm_ratio: threshold,
    nu_error: threshold,
    nu_reconstruction: threshold,
    cosine: threshold,
  }),
};

/** `crosscoder` of persistence.json. */
export const crosscoder: z.ZodType<CrosscoderDocument> = z.strictObject({
  ...crosscoderFigures,
  verdicts: z
    .array(
      z.strictObject({
        verdict: text,
        ...classCounts,
        aligned: count.describe("of the shared"),
        none: count.describe("the crosscoder has no latent of their function"),
      }),
    )
    .describe("the parent's latents, by verdict and by what the crosscoder says of them"),
  persisted_shared: measured.describe("of the persisted that the crosscoder has, those shared"),
  died_parent_only: measured.describe("of the died that the crosscoder has, the parent's alone"),
  kappa: measured.describe("Cohen's, of persisted or died with shared or parent-only"),
  reinit: z.strictObject(crosscoderFigures).nullable().describe("against random weights"),
});
