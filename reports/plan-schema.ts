/** plan.yaml, as far as the report speaks of it. */
import { z } from "zod";
import { folderName, maybeText, measured, text } from "./schema-parts.ts";

/** plan.yaml, as far as it is shown. */
export interface PlanDocument {
  readonly seed: number | string | null;
  readonly activations: string | null;
  readonly data: { readonly corpus: string | null; readonly context: number | null };
  readonly model: { readonly d_model: number | null; readonly layers: number | null };
  readonly saes: readonly {
    readonly name: string;
    readonly hook: string;
    readonly architecture: string;
    readonly d_sae: number | null;
    readonly k: number | null;
  }[];
  readonly stages: readonly { readonly name: string | null }[];
  readonly controls: { readonly fresh_seeds: number | null };
  readonly eval: { readonly min_firings: number | null };
  readonly report: { readonly title: string | null };
}

/** plan.yaml. */
export const planSchema: z.ZodType<PlanDocument> = z.object({
  seed: z.union([z.number(), text]).nullable().default(null),
  activations: maybeText,
  data: z.object({ corpus: maybeText, context: measured }).default({ corpus: null, context: null }),
  model: z.object({ d_model: measured, layers: measured }).default({ d_model: null, layers: null }),
  saes: z
    .array(
      z.object({
        name: folderName.default("resid"),
        hook: text.default(""),
        architecture: text.default(""),
        d_sae: measured,
        k: measured,
      }),
    )
    .default([]),
  stages: z.array(z.object({ name: folderName.nullable().default(null) })).default([]),
  controls: z.object({ fresh_seeds: measured }).default({ fresh_seeds: null }),
  eval: z.object({ min_firings: measured }).default({ min_firings: null }),
  report: z.object({ title: maybeText }).default({ title: null }),
});
