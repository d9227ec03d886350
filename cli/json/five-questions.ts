// five-questions.json: the essay's five questions.
import { z } from "zod";
import type { FiveQuestions } from "../../circuits/index.ts";
import { header, interval, measured, text } from "./values.ts";

/** One question and its answer. */
export const question: z.ZodType<FiveQuestions["questions"][number]> = z.strictObject({
  id: z.union([z.literal(1), z.literal(2), z.literal(3), z.literal(4), z.literal(5)]),
  question: text,
  answer: text,
  value: measured,
  ci: interval,
  unit: text.nullable(),
  evidence: z.array(z.strictObject({ file: text, field: text })),
  confident: z.boolean().describe("whether the evidence decides the question"),
});

/** five-questions.json. */
export const fiveQuestions: z.ZodType<FiveQuestions> = z.strictObject({
  ...header("five-questions"),
  questions: z.array(question).length(5),
});
