/**
 * The documents of a run as zod, as far as the report reads them: what enters is untrusted, and a
 * figure that is missing counts as not measured. Keys that are not read are dropped.
 */
import { z } from "zod";
import type {
  CircuitNodeRef,
  CircuitScores,
  CircuitSummary,
  HeadScore,
  HeadScoreTables,
} from "./run-data/circuit.ts";
import type { Score } from "./run-data/estimate.ts";
import type {
  BeforeAfter,
  CarryCheck,
  Exactness,
  MapSummary,
  ModelSize,
  StageEvaluation,
} from "./run-data/evaluation.ts";
import type {
  GateSummary,
  GrowthSummary,
  HistorySummary,
  MetricPoint,
  QuestionSummary,
} from "./run-data/whole-run.ts";
import { interval, maybeText, measured, text } from "./schema-parts.ts";

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
  l0: measured,
  dead_fraction: measured,
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
