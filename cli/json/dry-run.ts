// What `train` and `expand-and-track` print with `--dry-run --json`.
import { z } from "zod";
import { sizes } from "./model.ts";
import { count, header, measured, text } from "./values.ts";

/** The answer of a dry run. */
export const dryRun: z.ZodType = z.strictObject({
  ...header("dry-run"),
  command: text,
  out: text,
  stages: z.array(
    z.strictObject({
      stage: text,
      ...sizes.shape,
      lm_tokens: count.describe("over all arms"),
      sae_tokens: count.describe("over all arms"),
      saes: count.describe("SAEs trained"),
      flops: z.number(),
      optimizer_bytes: count.describe("AdamW's moments, kept beside the stage's model"),
    }),
  ),
  tasks: z.array(
    z.strictObject({
      task: text,
      title: text,
      flops: z.number(),
      memory_bytes: count.describe("at its peak"),
      seconds: measured,
    }),
  ),
  buffer: z
    .strictObject({ tokens: count, bytes: count })
    .nullable()
    .describe("activations that are kept to train SAEs on, in the task that keeps most"),
  total: z.strictObject({
    lm_tokens: count,
    sae_tokens: count,
    flops: z.number(),
    memory_bytes: count.describe("of one process"),
    disk_bytes: count,
    seconds: measured.describe("an order of magnitude"),
  }),
  notes: z.array(text),
});
