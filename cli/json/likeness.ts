// likeness.json: a grown model held against its parent and a from-scratch model over its training.
import { z } from "zod";
import type { LikenessFile } from "../run/tasks/likeness.ts";
import { count, estimate, header, interval, measured, text } from "./values.ts";

const likenessFigure = z
  .strictObject({
    value: measured.describe("mean correlation over the latents judged; 1 = as in the own model"),
    ci: interval,
    share: measured.describe("of latents with a correlation of at least .5"),
    r2: measured.describe("of the fitted map, on rows it was not fitted on; null without one"),
  })
  .describe("what an SAE reads from another model, held against what it reads from its own");

const likenessPair = {
  to_parent: likenessFigure.describe("by the parent's SAE"),
  to_scratch: likenessFigure.nullable().describe("by the from-scratch model's SAE"),
};

const crossing = z
  .strictObject({
    after: measured.describe(
      "tokens at the last point before; null where it is below from the first",
    ),
    by: z.number().describe("tokens at the first point below"),
    tokens: z.number().describe("by a straight line between the two"),
  })
  .nullable();

/** likeness.json. */
export const likeness: z.ZodType<LikenessFile> = z.strictObject({
  ...header("likeness"),
  stage: text,
  saes: z.array(
    z.strictObject({
      sae: text,
      tokens: count.describe("held-out token rows"),
      latents: z
        .strictObject({ parent: count, scratch: count.nullable() })
        .describe("latents that fire often enough to be judged"),
      child: z
        .array(
          z.strictObject({
            tokens: count.describe("of this stage's training"),
            total_tokens: count.describe("of all stages together"),
            in_place: likenessFigure.describe(
              "by the carried SAE, untrained, through no fitted map: what stayed where it was",
            ),
            ...likenessPair,
            corrected: estimate.describe(
              "(child − scratch) / (parent − scratch), all to_parent: of what sets the parent apart from a from-scratch model after as many tokens, what the child still shows",
            ),
          }),
        )
        .describe("right after the expansion, at each checkpoint, at the end"),
      scratch: z
        .array(z.strictObject({ total_tokens: count, to_parent: likenessFigure }))
        .nullable()
        .describe("the from-scratch model after as many tokens in all"),
      references: z.strictObject({
        parent: z.strictObject(likenessPair).describe("the ceiling of to_parent"),
        no_expand: z
          .strictObject(likenessPair)
          .nullable()
          .describe("the parent trained on for as long without growth"),
        random: z.strictObject(likenessPair).nullable().describe("random weights: the floor"),
      }),
      crossings: z.strictObject({
        half: crossing.describe("where corrected falls below ½; null = nowhere, or not measured"),
        scratch_nearer: crossing.describe("where the child's to_parent falls below its to_scratch"),
      }),
    }),
  ),
});
