// What `inspect --json` prints; `kind` says which of the forms.
import { z } from "zod";
import { exactness, sizes } from "./model.ts";
import { runFields } from "./run.ts";
import { saeFormat, transcoderOutput } from "./sae-folder.ts";
import { count, header, text } from "./values.ts";

const crosscoderSide = z.strictObject({
  model_name: text,
  hook_name: text,
  d_in: count,
  scale: z.number(),
});

/** The answer of `inspect`. */
export const inspect: z.ZodType = z.discriminatedUnion("kind", [
  z.strictObject({
    ...header("inspect"),
    path: text,
    kind: z.literal("model"),
    model: sizes,
    vocab_size: count,
    n_positions: count,
    hooks: z.array(text),
    tokenizer: z.boolean(),
  }),
  z.strictObject({
    ...header("inspect"),
    path: text,
    kind: z.literal("sae"),
    stored_as: saeFormat.describe("the library whose files they are"),
    architecture: text,
    d_in: count,
    d_sae: count,
    k: count.nullable(),
    hook_name: text,
    model_name: text,
    ...transcoderOutput,
    lineage: z.record(text, count).nullable().describe("latents by the stage they came from"),
  }),
  z.strictObject({
    ...header("inspect"),
    path: text,
    kind: z.literal("crosscoder"),
    architecture: text,
    d_in: count.describe("of both models together"),
    d_sae: count,
    k: count.nullable(),
    parent: crosscoderSide,
    child: crosscoderSide,
  }),
  z.strictObject({
    ...header("inspect"),
    path: text,
    kind: z.literal("arrow"),
    rows: count,
    batches: count,
    columns: z.array(z.strictObject({ name: text, type: text })),
    metadata: z.record(text, text),
  }),
  z.strictObject({
    ...header("inspect"),
    path: text,
    kind: z.literal("map"),
    method: text,
    exact: z.boolean(),
    parent: sizes,
    child: sizes,
    hooks: count,
    fresh: z.array(text),
    exactness: exactness.nullable(),
  }),
  z.strictObject({ ...header("inspect"), path: text, kind: z.literal("run"), ...runFields }),
]);
