/** @file The error of a flag that a command can't do without. */
import { UsageError } from "../src/io/index.ts";

/** `flag` was not given, and should have been what `expected` says. */
export function missingFlag(flag: string, expected: string): UsageError {
  return new UsageError({ code: "missing-flag", where: flag, expected, got: "nothing" });
}
