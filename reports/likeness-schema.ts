/** likeness.json as zod, as far as the report reads it. */
import { z } from "zod";
import type { LikenessSummary } from "./run-data/likeness.ts";
import { estimate, measured, text } from "./schema-parts.ts";

const pair = { to_parent: estimate, to_scratch: estimate.nullable().default(null) };
const crossing = z.object({ after: measured, by: z.number(), tokens: z.number() });
const crossings = z.object({
  half: crossing.nullable().default(null),
  scratch_nearer: crossing.nullable().default(null),
});

const curves: z.ZodType<LikenessSummary> = z.object({
  sae: text,
  child: z
    .array(
      z.object({
        tokens: z.number(),
        total_tokens: z.number(),
        ...pair,
        in_place: estimate,
        corrected: estimate,
      }),
    )
    .min(1),
  scratch: z
    .array(z.object({ total_tokens: z.number(), to_parent: estimate }))
    .nullable()
    .default(null),
  references: z.object({
    parent: z.object(pair),
    no_expand: z.object(pair).nullable().default(null),
    random: z.object(pair).nullable().default(null),
  }),
  crossings,
});

/** likeness.json. */
export const likenessSchema: z.ZodType<{ readonly saes: readonly LikenessSummary[] }> = z.object({
  saes: z.array(curves),
});
