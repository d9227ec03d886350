// One line for each benchmark.
import { z } from "zod";
import { count, interval, measured, text } from "./values.ts";

/** The line of a benchmark. */
export const bench: z.ZodType = z.strictObject({
  name: text,
  ours: z.number(),
  peer: measured,
  peer_name: text.nullable(),
  unit: text,
  ratio: measured,
  spread: interval,
  repeats: count,
  peak_mb: measured,
  peer_peak_mb: measured,
  sizes: z.record(text, z.number()),
  threads: count,
  backend: text,
  machine: text,
});
