// What `train --json`, `expand-and-track --json` and `report --json` print of a run.
import { z } from "zod";
import type { GateResult } from "../../circuits/index.ts";
import { question } from "./five-questions.ts";
import { exactness, sizes } from "./model.ts";
import { count, estimate, header, measured, text } from "./values.ts";

const gate: z.ZodType<GateResult> = z.strictObject({
  kind: z.literal("held_out_loss"),
  value: measured,
  threshold: measured,
  passed: z.boolean(),
  message: text,
});

const runSae = z.strictObject({
  arm: text,
  sae: text,
  hook_name: text.nullable(),
  l0: measured,
  fvu: measured,
  ce_loss_score_zero: measured,
});

const runStage = z.strictObject({
  stage: text,
  model: sizes.nullable().describe("null where SAEs trained on activations"),
  tokens_trained: measured,
  held_out_loss: measured.describe("nats per token"),
  held_out_se: measured,
  stage_held_out_loss: measured.describe("on the stage's own text, where it has one"),
  unigram_entropy: measured,
  loss_after_expansion: measured,
  pca_fvu: measured.describe("FVU of PCA at the rank of the SAE's L0"),
  exactness: exactness.nullable(),
  saes: z.array(runSae),
  persistence: z
    .array(
      z.strictObject({
        sae: text,
        eligible: count,
        persisted: estimate,
        reinit_persisted: estimate.nullable(),
        corrected: estimate.nullable(),
      }),
    )
    .nullable()
    .describe("null for the base stage"),
  gates: z.array(gate).nullable().describe("null where the plan has none"),
});

/** What documents about a run have in common. */
export const runFields: z.ZodRawShape = {
  run: text,
  seed: count,
  backend: text.nullable(),
  complete: z.boolean().describe("every stage of the plan is done"),
  report: text.nullable(),
  stages: z.array(runStage),
  five_questions: z.array(question).nullable(),
};

/** The answer of `train`. */
export const train: z.ZodType = z.strictObject({ ...header("train"), ...runFields });

/** The answer of `expand-and-track`. */
export const expandAndTrack: z.ZodType = z.strictObject({
  ...header("expand-and-track"),
  ...runFields,
});

/** The answer of `report`. */
export const report: z.ZodType = z.strictObject({
  ...header("report"),
  run: text,
  out: text,
  bytes: count,
});
