// What this machine lacks, and whether lacking it is allowed: SAE_CARRY_REQUIRE=python,browser turns a skip into a failure.
import { test } from "vitest";

const required = new Set((process.env.SAE_CARRY_REQUIRE ?? "").split(",").filter(Boolean));

/** A `test` that skips with its reason when `missing` is set, or fails where the facility is required. */
export function testWith(
  facility: string,
  missing: string | undefined,
): (title: string, body: () => Promise<void>) => void {
  return (title, body) => {
    if (missing === undefined) test(title, body);
    else if (required.has(facility)) {
      test(title, () => {
        throw new Error(`${facility} is required here (SAE_CARRY_REQUIRE), but ${missing}`);
      });
    } else test.skip(`${title} (skipped: ${missing})`, body);
  };
}
