/** @file Names in a plan that become folders. */
import { z } from "zod";

/** A name of a stage or an SAE. */
export const folderName: z.ZodString = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, "a name of letters, digits, '.', '_' and '-'");
