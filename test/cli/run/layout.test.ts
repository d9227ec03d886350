// Where everything of a run lies.
import { expect, test } from "vitest";
import { resolvePlan } from "../../../cli/plan/index.ts";
import {
  armDir,
  carriedDir,
  expansionDir,
  modelDir,
  saeDir,
  stageCount,
  stageDir,
  stageName,
} from "../../../cli/run/layout.ts";

const plan = resolvePlan(
  { stages: [{ expand: { width: 96 } }, { name: "tall", expand: { layers: 4 } }] },
  "/",
  "plan.yaml",
);

test("stages are numbered from the base", () => {
  expect(stageCount(plan)).toBe(3);
  expect([0, 1, 2].map((stage) => stageName(plan, stage))).toEqual([
    ...["00-base", "01-wider", "02-tall"],
  ]);
  const many = { ...plan, stages: Array.from({ length: 12 }, () => plan.stages[1]) };
  expect(stageName(many, 12)).toBe("12-tall");
});

test("the real trajectory lies in the stage itself, a control under arms/", () => {
  expect(stageDir(plan, 1)).toBe("stages/01-wider");
  expect([armDir(plan, 1, "carried"), armDir(plan, 1, "reinit")]).toEqual([
    ...["stages/01-wider", "stages/01-wider/arms/reinit"],
  ]);
  expect([modelDir(plan, 0), modelDir(plan, 2, "scratch")]).toEqual([
    ...["stages/00-base/model", "stages/02-tall/arms/scratch/model"],
  ]);
  expect([saeDir(plan, 2, "mlp"), saeDir(plan, 2, "mlp", "fresh-1")]).toEqual([
    ...["stages/02-tall/sae/mlp", "stages/02-tall/arms/fresh-1/sae/mlp"],
  ]);
  expect(carriedDir(plan, 1, "mlp")).toBe("stages/01-wider/carried/mlp");
  expect(expansionDir(plan, 1)).toBe("stages/01-wider/expansion");
});
