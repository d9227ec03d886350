// What is said of SAE folders: the answers of `carry`, `import` and `export`.
import { z } from "zod";
import { count, header, measured, text } from "./values.ts";

/** The libraries whose folders are read and written. */
export const saeFormat: z.ZodType = z.enum(["saelens", "sparsify", "dictionary_learning"]);

/** What a transcoder has besides what an SAE has. */
export const transcoderOutput: z.ZodRawShape = {
  d_out: count.optional(),
  hook_name_out: text.optional(),
  skip_connection: z.boolean().optional().describe("these three of transcoders only"),
};

/** The answer of `carry`. */
export const carry: z.ZodType = z.strictObject({
  ...header("carry"),
  out: text,
  d_in: count,
  d_sae: count,
  carried: count,
  appended: count,
  hook_name: text,
  ...transcoderOutput,
  map: z
    .enum(["exact", "published", "fitted", "copied"])
    .describe("exact; the growth method's own, near; fitted on text; the coordinates as they are"),
  r2: measured.describe("of that map on held-out tokens, where it is not exact"),
  check: z
    .strictObject({
      same_latents: measured.describe("share of (token, latent) firings that are the same"),
      fvu_parent: measured,
      fvu_parent_frame: measured.describe(
        "of the carried SAE, pulled back into the parent's frame",
      ),
    })
    .nullable()
    .describe("null without --text and --model"),
});

/** The answer of `import` or `export`. */
export function conversion(command: "import" | "export"): z.ZodType {
  return z.strictObject({
    ...header(command),
    out: text,
    from: saeFormat.describe("the library whose folder was read"),
    to: saeFormat.describe("the library whose folder was written"),
    architecture: text,
    d_in: count,
    d_sae: count,
    k: measured.describe("latents a token, where the SAE has such a number"),
    hook_name: text,
    model_name: text,
    ...transcoderOutput,
  });
}
