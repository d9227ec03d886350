// What `dump --json` prints.
import { z } from "zod";
import { count, header, text } from "./values.ts";

/** The answer of `dump`. */
export const dump: z.ZodType = z.strictObject({
  ...header("dump"),
  out: text,
  files: z.array(text),
  layout: z.enum(["tokens", "saelens"]),
  rows: count,
  hooks: z.array(z.strictObject({ name: text, width: count })),
  saes: z.array(text),
  bytes: count,
});
