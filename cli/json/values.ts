// What the documents of --json have in common: counts, figures that may be missing, intervals, the header.
import { z } from "zod";

/** A whole number, 0 or more. */
export const count: z.ZodInt = z.int().min(0);

/** A figure; null where it was not measured or is not finite. */
export const measured: z.ZodNullable<z.ZodNumber> = z.number().nullable();

/** [lo, hi]; null where there is none. */
export const interval: z.ZodNullable<z.ZodTuple<[z.ZodNumber, z.ZodNumber], null>> = z
  .tuple([z.number(), z.number()])
  .nullable();

/** Any string. */
export const text: z.ZodString = z.string();

/** A share with its interval. */
export const estimate: z.ZodObject<
  { value: typeof measured; ci: typeof interval },
  z.core.$strict
> = z.strictObject({ value: measured, ci: interval }).describe("a share and its interval");

/** The threshold of a match: max(floor, 99th percentile of the null). */
export const threshold: z.ZodObject<
  { floor: z.ZodNumber; null_p99: typeof measured; used: z.ZodNumber },
  z.core.$strict
> = z.strictObject({
  floor: z.number(),
  null_p99: measured,
  used: z.number(),
});

/** What every document of its own begins with. */
export function header<T extends string>(
  format: T,
): { format: z.ZodLiteral<`sae-carry/${T}`>; version: z.ZodLiteral<1> } {
  return { format: z.literal(`sae-carry/${format}`), version: z.literal(1) };
}
