// The names in --help and the plan's schema are those that the library knows.
import { expect, test } from "vitest";
import { modelTypes } from "../../../cli/plan/model-types.ts";
import { modelTypes as known } from "../../../src/models/index.ts";

test("a plan can ask for every model type there is", () => {
  expect([...modelTypes].sort()).toEqual([...known].sort());
});
