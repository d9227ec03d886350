// What any command that ends badly prints under --json.
import { z } from "zod";
import { text } from "./values.ts";

/** An error as a document. */
export const failure: z.ZodType = z.strictObject({
  error: z.strictObject({
    code: text,
    where: text,
    expected: text,
    got: text,
    hint: text.nullable(),
  }),
});
