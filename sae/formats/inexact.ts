/** @file The one error of a conversion that could not be exact. */
import { UsageError } from "../../src/io/index.ts";

/** What a format can't hold as it is. */
export interface Inexact {
  readonly where: string;
  readonly expected: string;
  readonly got: string;
  readonly hint: string;
}

/** Refuses a conversion that would change what the SAE computes. Errors: always, a UsageError. */
export function refuse(problem: Inexact): never {
  throw new UsageError({ code: "sae-inexact", ...problem });
}
