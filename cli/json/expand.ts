// What `expand --json` prints.
import { z } from "zod";
import { exactness, learned, sizes } from "./model.ts";
import { count, header, measured, text } from "./values.ts";

/** The answer of `expand`. */
export const expand: z.ZodType = z.strictObject({
  ...header("expand"),
  method: text,
  exact: z.boolean(),
  parent: sizes,
  child: sizes,
  exactness: exactness.nullable(),
  off_image: measured.describe(
    "‖(I − E E⁺)H‖²/‖H‖² right after the expansion; null where E is the identity",
  ),
  copy_spread: measured,
  fit_r2: measured.describe(
    "lowest R² of the maps fitted where the method is not exact; null = nothing was fitted",
  ),
  learned: learned
    .nullable()
    .describe("losses around what a method learned; null for one that learns nothing"),
  dtype: z.enum(["f32", "f16", "bf16"]).describe("what the child's numbers are stored as"),
  bytes: count.describe("of the child's weights on disk"),
  memory_bytes: count.describe("memory at its peak: measured, estimated under --dry-run"),
  seconds: z.number().describe("measured from the start of the backend, estimated under --dry-run"),
  out: text,
  notes: z.array(text).describe("how relative sizes were rounded, and what was not measured"),
});
