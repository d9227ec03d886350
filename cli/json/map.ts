// map.json, an expansion map.
import { z } from "zod";
import { exactness, learned } from "./model.ts";
import { count, measured, text } from "./values.ts";

/** map.json; fields that are not named here are allowed. */
export const map: z.ZodType = z.looseObject({
  format: z.literal("sae-carry/map"),
  version: z.literal(1),
  method: text,
  exact: z.boolean(),
  hooks: z.array(
    z.strictObject({
      from: text,
      to: z.array(text),
      tensor: text,
      exact: z.boolean().describe("whether the map holds exactly right after the expansion"),
      published: z.boolean().describe("whether the method has a map here, exact or not"),
      fit: text.nullable().describe("key of the map fitted on text; null = none"),
      r2: measured.describe("of the fitted map, on held-out tokens"),
      r2_unfitted: measured.describe("of the method's map, or of the copied coordinates"),
    }),
  ),
  layers: z.record(text, z.array(count)).describe("layers of the child by layer of the parent"),
  heads: z.record(text, text).describe("names of tensors in map.safetensors"),
  neurons: z.record(text, text),
  experts: z.record(text, text).nullable(),
  fresh: z.array(text),
  exactness: exactness.nullable(),
  learned: learned.optional().describe("only of methods that learn"),
});
