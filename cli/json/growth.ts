// growth.json: what each expansion cost and bought.
import { z } from "zod";
import type { GrowthReport } from "../../circuits/index.ts";
import { count, header, interval, measured, text } from "./values.ts";

/** growth.json. */
export const growth: z.ZodType<GrowthReport> = z.strictObject({
  ...header("growth"),
  stages: z.array(
    z.strictObject({
      stage: text,
      method: text.nullable(),
      exact: z.boolean().nullable(),
      params: count.nullable(),
      tokens: measured.describe("training tokens of this stage"),
      tokens_total: measured.describe("with all ancestors"),
      flops: measured.describe("training operations of this stage, those of the SAEs left out"),
      flops_total: measured,
      loss_before: measured.describe("held-out loss of the parent, nats per token"),
      loss_after_expansion: measured,
      loss_jump: measured,
      loss: measured.describe("after training on"),
      loss_se: measured,
    }),
  ),
  comparisons: z
    .array(
      z.strictObject({
        stage: text,
        arm: z.enum(["no-expand", "scratch"]),
        matched: z.enum(["tokens", "flops"]),
        at: z.number(),
        grown: z.number(),
        control: z.number(),
        difference: z.number().describe("grown − control; below zero, growing is ahead"),
        ci: interval,
        read: z
          .strictObject({ grown: z.number(), control: z.number() })
          .describe("where each curve was read, as a share of its whole training"),
      }),
    )
    .describe("the last stage against its controls, at matched amounts of training"),
});
