/** @file The one error of a conversion that could not be exact. */
import { UsageError } from "../../src/io/index.ts";
import type { SaeConfig } from "../sae.ts";

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

/** Refuses an SAE that takes a norm off each row, for a library whose SAEs read rows as they are. Errors: UsageError. */
export function refuseNorm(
  dir: string,
  library: string,
  { normalize_activations }: SaeConfig,
): void {
  if (normalize_activations === "none") return;
  refuse({
    where: `${dir}: normalize_activations`,
    expected: `none: ${library} has no norm by row`,
    got: normalize_activations,
    hint: "saelens stores it, and no weights can stand in for it",
  });
}
