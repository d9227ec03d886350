/**
 * The documents of a run as zod, as far as the report reads them: what enters is untrusted, and a
 * figure that is missing counts as not measured. Keys that are not read are dropped.
 */
import { z } from "zod";
import type {
  BeforeAfter,
  CarryCheck,
  CircuitNodeRef,
  CircuitScores,
  CircuitSummary,
  CrosscoderSummary,
  Estimate,
  Exactness,
  GateSummary,
  GrowthSummary,
  HeadScore,
  HeadScoreTables,
  Histograms,
  HistorySummary,
  MapSummary,
  MetricPoint,
  ModelSize,
  PersistenceSummary,
  QuestionSummary,
  Score,
  StageEvaluation,
} from "./run-data.ts";
import { folderName, maybeText, measured, text } from "./schema-parts.ts";

const interval = z.tuple([z.number(), z.number()]).nullable().default(null);
const counts = z.array(z.number());

const estimate: z.ZodType<Estimate> = z.object({ value: measured, ci: interval });
const beforeAfter: z.ZodType<BeforeAfter> = z.object({
  after_expansion: measured,
  after_training: measured,
});

const exactness: z.ZodType<Exactness> = z.object({
  max_abs_dlogit: measured,
  kl: measured,
  loss_parent: measured,
  loss_child: measured,
  boundaries: z.array(z.object({ hook_from: text, hook_to: text, rel_err: measured })).default([]),
});

const returned = { returned: estimate, stayed: estimate };
const perturb = z.object({
  turned: z.number(),
  ...returned,
  unturned: measured,
  reinit: z.object(returned).nullable().default(null),
});

const size = {
  d_model: z.number(),
  n_layer: z.number(),
  n_head: z.number(),
  d_mlp: z.number(),
  n_expert: z.number().optional(),
  params: z.number(),
};
const modelSize: z.ZodType<ModelSize> = z.object(size);
const control = {
  held_out_loss: measured,
  tokens_trained: measured,
  flops_trained: measured,
};

/** eval.json of a stage. */
export const evaluationSchema: z.ZodType<StageEvaluation> = z.object({
  model: z
    .object(size)
    .partial()
    .extend({
      ...control,
      held_out_se: measured,
      unigram_entropy: measured,
      loss_after_expansion: measured,
    }),
  controls: z.record(text, z.object(control)).default({}),
  pca_fvu: measured,
  saes: z
    .array(
      z.object({
        arm: text,
        sae: text,
        seed: measured,
        l0: measured,
        fvu: measured,
        ce_loss_score_zero: measured,
        kl_div_score: measured,
        dead_fraction: measured,
        tokens: measured,
      }),
    )
    .default([]),
  exactness: exactness.nullable().default(null),
  off_image: beforeAfter.nullable().default(null),
  copy_spread: beforeAfter.nullable().default(null),
});

/** map.json of an expansion. */
export const mapSchema: z.ZodType<MapSummary> = z.object({
  method: text,
  exact: z.boolean(),
  parent: modelSize,
  child: modelSize,
  fresh: z.array(text).default([]),
  hooks: z.array(z.object({ r2: measured })).default([]),
  exactness: exactness.nullable().default(null),
});

/** check.json of a carried SAE. */
export const carryCheckSchema: z.ZodType<CarryCheck> = z.object({
  same_latents: measured,
  fvu_parent: measured,
  fvu_parent_frame: measured,
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
  unmasked: z.object({ shrinkage: z.number(), decoupling: z.number() }),
};
const crosscoder: z.ZodType<CrosscoderSummary> = z.object({
  ...crosscoderFigures,
  verdicts: z.array(z.object({ ...classCounts, verdict: text, none: z.number() })),
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

const score: z.ZodType<Score> = z.object({ value: measured, ci: interval, reason: maybeText });
const node: z.ZodType<CircuitNodeRef> = z.object({
  type: text,
  layer: z.number(),
  index: z.number(),
  score: z.number(),
});
const circuitScores = {
  faithfulness: score,
  completeness: measured,
  without_error: measured,
  random_same_kinds: z.object({ mean: measured, sd: measured }).nullable().default(null),
};
const scores: z.ZodType<CircuitScores> = z.object(circuitScores);
const headScore: z.ZodType<HeadScore> = z.object({
  layer: z.number(),
  index: z.number(),
  score: z.number(),
  null: z.number(),
});
const headTable = z.array(z.array(z.number()));
const headTables = {
  induction: headTable,
  previous_token: headTable,
  duplicate_token: headTable,
};
const headScores: z.ZodType<HeadScoreTables> = z.object({
  length: z.number(),
  sequences: z.number(),
  ...headTables,
  null: z.object(headTables),
});

/** circuits/<task>.json. */
export const circuitSchema: z.ZodType<CircuitSummary> = z.object({
  task: maybeText,
  task_inherited: z.boolean().default(false),
  hook_name: maybeText,
  tasks: z
    .array(
      z.object({
        task: text,
        applicable: z.boolean(),
        reason: maybeText,
        n: z.number(),
        m_full: measured,
        m_empty: measured,
        difference: measured,
        se: measured,
        done: z.boolean(),
      }),
    )
    .default([]),
  nodes: z.array(node).default([]),
  candidates: z.number().default(0),
  scores: scores.nullable().default(null),
  mapped: z
    .object({
      ...circuitScores,
      from: text,
      n: z.number(),
      unmapped: z.number().default(0),
      nodes: z.array(node).default([]),
      parent_faithfulness: measured,
      at_expansion: score.nullable().default(null),
      rediscovered: score,
      jaccard: measured,
      jaccard_floor: measured,
      jaccard_ceiling: measured,
      heads: z
        .array(z.object({ kind: text, parent: headScore, child: headScore.nullable() }))
        .default([]),
    })
    .nullable()
    .default(null),
  head_scores: headScores.nullable().default(null),
  prompts: z
    .object({
      n: z.number(),
      examples: z
        .array(
          z.object({
            clean: z.array(text),
            corrupted: z.array(text),
            answer: text,
            wrong: text,
          }),
        )
        .default([]),
    })
    .nullable()
    .default(null),
});

/** gates.json. */
export const gatesSchema: z.ZodType<GateSummary> = z.object({
  passed: z.boolean(),
  gates: z.array(z.object({ kind: text, passed: z.boolean(), message: text })).default([]),
});

/** five-questions.json. */
export const questionsSchema: z.ZodType<{ readonly questions: readonly QuestionSummary[] }> =
  z.object({
    questions: z.array(
      z.object({
        id: z.number(),
        question: maybeText,
        answer: text,
        value: measured,
        ci: interval,
        unit: maybeText,
        evidence: z.array(z.object({ file: text, field: text })).default([]),
        confident: z.boolean(),
      }),
    ),
  });

/** growth.json. */
export const growthSchema: z.ZodType<GrowthSummary> = z.object({
  stages: z.array(
    z.object({
      stage: text,
      method: maybeText,
      exact: z.boolean().nullable().default(null),
      params: measured,
      tokens: measured,
      tokens_total: measured,
      flops: measured,
      flops_total: measured,
      loss_before: measured,
      loss_after_expansion: measured,
      loss_jump: measured,
      loss: measured,
      loss_se: measured,
    }),
  ),
  comparisons: z.array(
    z.object({
      stage: text,
      arm: text,
      matched: text,
      at: z.number(),
      grown: z.number(),
      control: z.number(),
      difference: z.number(),
      ci: interval,
      read: z.object({ grown: z.number(), control: z.number() }),
    }),
  ),
});

/** A line of metrics.jsonl. */
export const metricSchema: z.ZodType<MetricPoint> = z.object({
  stage: text,
  arm: text,
  phase: text,
  sae: maybeText,
  tokens: z.number(),
  flops: measured,
  held_out_loss: measured,
  fvu: measured,
});

const span = z.tuple([z.number(), z.number()]);
const survival = z.object({
  points: z.array(z.object({ stage: text, tokens: z.number(), survival: z.number(), ci: span })),
  half_life_tokens: measured,
  half_life_ci: span.nullable().default(null),
});

/** history.json. */
export const historySchema: z.ZodType<{ readonly saes: readonly HistorySummary[] }> = z.object({
  saes: z.array(
    z.object({
      name: text,
      cohorts: z.array(
        z.object({ stage: text, features: z.number(), persisted: survival, not_died: survival }),
      ),
    }),
  ),
});
