/** What the schemas of several documents are made of: what is missing counts as not measured. */
import { z } from "zod";
import type { Estimate } from "./run-data/estimate.ts";

export const text: z.ZodString = z.string();
/** Becomes part of a path. */
export const folderName: z.ZodString = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, "a name of a folder");
export const measured: z.ZodDefault<z.ZodNullable<z.ZodNumber>> = z
  .number()
  .nullable()
  .default(null);
export const maybeText: z.ZodDefault<z.ZodNullable<z.ZodString>> = z
  .string()
  .nullable()
  .default(null);
/** [low, high]. */
export const interval: z.ZodDefault<z.ZodNullable<z.ZodTuple<[z.ZodNumber, z.ZodNumber], null>>> = z
  .tuple([z.number(), z.number()])
  .nullable()
  .default(null);
export const estimate: z.ZodType<Estimate> = z.object({ value: measured, ci: interval });
