// The names in --help and the plan's schema are those that the library knows.
import { expect, test } from "vitest";
import { saeArchitectureNames } from "../../../cli/plan/sae-architectures.ts";
import { architectureNames } from "../../../sae/index.ts";

test("a plan can ask for every SAE architecture there is", () => {
  expect([...saeArchitectureNames].sort()).toEqual([...architectureNames].sort());
});
