/** persistence.json as zod, as far as the report reads it. */
import { z } from "zod";
import type { CrosscoderSummary } from "./run-data/crosscoder.ts";
import type { Histograms, PersistenceSummary } from "./run-data/persistence.ts";
import { estimate, folderName, interval, measured, text } from "./schema-parts.ts";

const counts = z.array(z.number());
const unmeasured = { value: null, ci: null };
const returned = {
  way_back: estimate.default(unmeasured),
  returned: estimate,
  stayed: estimate,
  to_parent: measured,
};
const perturb = z.object({
  turned: z.number(),
  ...returned,
  unturned: measured,
  put_to_parent: measured,
  unturned_to_parent: measured,
  reinit: z.object(returned).nullable().default(null),
});

const threshold = z.object({ floor: z.number(), null_p99: measured, used: z.number() });
const cell = z.object({ function: measured, match: measured, ci: interval }).nullable();

const histograms: z.ZodType<Histograms> = z
  .object({
    edges: z.array(z.number()).min(2),
    correlation: z.object({ carried: counts, fresh: counts, null: counts }),
    cosine: z.object({ carried: counts, reinit: counts, null: counts }),
  })
  .refine(
    ({ edges, correlation, cosine }) =>
      [...Object.values(correlation), ...Object.values(cosine)].every(
        (bins) => bins.length === edges.length - 1,
      ),
    "one count per bin",
  );

const classCounts = {
  unknown: z.number(),
  shared: z.number(),
  parent_only: z.number(),
  child_only: z.number(),
};
const crosscoderFigures = {
  architecture: text,
  d_sae: z.number(),
  l0: z.number(),
  fvu_parent: measured,
  fvu_child: measured,
  latents: z.object(classCounts),
  by_norm: z.object(classCounts),
  aligned: z.number(),
  unmasked: z.object({ shrinkage: z.number(), decoupling: z.number() }),
};
const crosscoder: z.ZodType<CrosscoderSummary> = z.object({
  ...crosscoderFigures,
  verdicts: z.array(
    z.object({ ...classCounts, verdict: text, aligned: z.number(), none: z.number() }),
  ),
  persisted_shared: measured,
  died_parent_only: measured,
  kappa: measured,
  reinit: z.object(crosscoderFigures).nullable().default(null),
});

/** persistence.json. */
export const persistenceSchema: z.ZodType<PersistenceSummary> = z.object({
  stage: text,
  name: folderName.default("resid"),
  tokens: measured,
  arms: z
    .array(
      z.object({
        arm: text,
        role: text.default(""),
        sae: text,
        seed: measured,
        lr: measured,
        l0: measured,
        fvu: measured,
        ce_loss_score_zero: measured,
        matched: z.boolean().nullable().default(null),
        function: measured,
        match: measured,
      }),
    )
    .default([]),
  thresholds: z.object({ cosine: threshold, correlation: threshold, containment: z.number() }),
  counts: z.record(text, z.number().nullable()),
  eligible: z.number(),
  persisted: estimate,
  reinit_persisted: estimate.nullable().default(null),
  start_kept: estimate.nullable().default(null),
  inertia: z.object({
    carried: measured,
    carried_scratch: measured,
    reinit: measured,
    rotated: measured,
  }),
  perturb_and_return: perturb.nullable().default(null),
  continuation: z
    .array(z.object({ times: z.number(), function: measured, ci: interval, to_start: measured }))
    .nullable()
    .default(null),
  cells: z.object({
    CG: cell.default(null),
    FG: cell.default(null),
    CS: cell.default(null),
    FS: cell.default(null),
    CP: cell.default(null),
    FP: cell.default(null),
  }),
  corrected: estimate.nullable().default(null),
  inheritance: z
    .object({ value: measured, ci: interval, of_findable: measured })
    .nullable()
    .default(null),
  carry_bonus: estimate.nullable().default(null),
  tokens_ratio: measured,
  histograms: histograms.nullable().default(null),
  warnings: z.array(text).default([]),
  crosscoder: crosscoder.nullable().default(null),
});
