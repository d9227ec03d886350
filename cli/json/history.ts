// history.json: how long features last.
import { z } from "zod";
import type { HistoryDocument } from "../run/tasks/histories.ts";
import { count, header, interval, measured, text } from "./values.ts";

const survival = z.strictObject({
  points: z.array(
    z.strictObject({
      stage: text,
      tokens: count.describe("trained since the cohort's own stage ended"),
      at_risk: count,
      lost: count,
      censored: count.describe("left the count without being lost"),
      survival: z.number().describe("Kaplan–Meier"),
      ci: z.tuple([z.number(), z.number()]),
    }),
  ),
  half_life_tokens: measured.describe("at a constant risk per token; null below 5 losses"),
  half_life_ci: interval,
});

/** history.json. */
export const history: z.ZodType<HistoryDocument> = z.strictObject({
  ...header("history"),
  saes: z.array(
    z.strictObject({
      name: text,
      cohorts: z.array(
        z.strictObject({
          stage: text.describe(
            "whose SAE was the first to have these features: all of the base's, then those called born or uncovered",
          ),
          features: count.describe("judged at least once"),
          persisted: survival.describe("lost = called anything but persisted"),
          not_died: survival.describe("lost = called died or lost_by_sae"),
        }),
      ),
    }),
  ),
});
