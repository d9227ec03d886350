/** eval.json of a run on a dump of activations as zod, as far as the report reads it. */
import { z } from "zod";
import type { ActivationsEvaluation } from "./run-data/activations.ts";
import { maybeText, measured, text } from "./schema-parts.ts";

/** `stages/00-base/eval.json` of a run without a model. */
export const activationsSchema: z.ZodType<ActivationsEvaluation> = z.object({
  activations: z.object({
    file: text,
    rows: z.number(),
    trained_rows: z.number(),
    held_out: z.enum(["documents", "sequences"]).nullable().default(null),
    held_out_rows: measured,
    metadata: z.record(text, text).default({}),
  }),
  saes: z
    .array(
      z.object({
        sae: text,
        hook_name: text,
        hook_name_out: maybeText,
        tokens: measured,
        high_norm_excluded: measured,
        l0: measured,
        fvu: measured,
        cossim: measured,
        l2_ratio: measured,
        dead_fraction: measured,
        freq_over_1_percent: measured,
        freq_over_10_percent: measured,
      }),
    )
    .default([]),
});
