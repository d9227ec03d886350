// What `doctor --json` prints.
import { z } from "zod";
import { count, header, measured, text } from "./values.ts";

/** The answer of `doctor`. */
export const doctor: z.ZodType = z.strictObject({
  ...header("doctor"),
  node: text,
  platform: text,
  cpus: count,
  memory_bytes: count,
  chosen: text.nullable(),
  reason: text,
  backends: z.array(
    z.strictObject({
      name: text,
      available: z.boolean(),
      reason: text,
      advice: text.nullable(),
      gflops: measured.describe("of a 512³ product"),
    }),
  ),
  checks: z
    .array(
      z.strictObject({ name: text, passed: z.boolean(), error: measured, tolerance: z.number() }),
    )
    .nullable()
    .describe("null without --check"),
});
