// The arms of a stage: their roles, models, folders and frames.
import { expect, test } from "vitest";
import { resolvePlan } from "../../../cli/plan/index.ts";
import type { PlanInput, ResolvedPlan } from "../../../cli/plan/types.ts";
import { byModel, stageArms } from "../../../cli/run/arms.ts";

const wider = { name: "wider", expand: { width: 96 } };
const deeper = { name: "deeper", expand: { layers: "+2" } };
const resolve = (input: PlanInput): ResolvedPlan => resolvePlan(input, "/", "plan.yaml");
const plan = resolve({ stages: [wider, deeper], controls: { fresh_seeds: 1, sweep: [4] } });

/** `arm role seed model sae frame` of each. */
function listed(of: ResolvedPlan, stage: number, name = "resid"): string[] {
  return stageArms(of, stage, name).map(({ arm, role, seed, model, sae, frame }) =>
    [arm, role, seed, model.slice("stages/".length), sae.slice("stages/".length), frame].join(" "),
  );
}

test("the base has only its own SAE", () => {
  expect(listed(plan, 0)).toEqual(["carried carried 0 00-base/model 00-base/sae/resid mapped"]);
});

test("an expansion between others", () => {
  expect(listed(plan, 1)).toEqual([
    "carried carried 0 01-wider/model 01-wider/sae/resid mapped",
    "carried-start carried-start 0 01-wider/expansion/model 01-wider/carried/resid mapped",
    "frozen frozen 0 01-wider/model 01-wider/carried/resid mapped",
    "fresh-1 fresh 1 01-wider/model 01-wider/arms/fresh-1/sae/resid mapped",
    "same-model same-model 0 00-base/model 01-wider/arms/same-model/sae/resid parent",
    "reinit reinit 0 01-wider/arms/reinit/model 01-wider/arms/reinit/sae/resid mapped",
    "rotated rotated 0 01-wider/model 01-wider/arms/rotated/sae/resid mapped",
    "perturbed perturbed 0 01-wider/model 01-wider/arms/perturbed/sae/resid mapped",
    "perturbed-reinit perturbed-reinit 0 01-wider/arms/reinit/model 01-wider/arms/perturbed-reinit/sae/resid mapped",
    "carried-4x continued 0 01-wider/model 01-wider/arms/carried-4x/sae/resid mapped",
  ]);
});

test("the last expansion has all of them; the ceiling's SAEs lie with the parent's stage", () => {
  expect(listed(plan, 2, "mlp").slice(10)).toEqual([
    "fresh-parent-1 fresh-parent 1 01-wider/model 01-wider/arms/fresh-1/sae/mlp parent",
    "carried-scratch carried-scratch 0 02-deeper/arms/scratch/model 02-deeper/arms/carried-scratch/sae/mlp none",
    "scratch-1 scratch 1 02-deeper/arms/scratch/model 02-deeper/arms/scratch-1/sae/mlp none",
    "no-expand no-expand 0 02-deeper/arms/no-expand/model 02-deeper/arms/no-expand/sae/mlp parent",
  ]);
  const one = resolve({ stages: [wider], controls: { arms: ["fresh-parent"], fresh_seeds: 2 } });
  expect(listed(one, 1).slice(2)).toEqual([
    "fresh-parent-1 fresh-parent 1 00-base/model 00-base/arms/fresh-1/sae/resid parent",
    "fresh-parent-2 fresh-parent 2 00-base/model 00-base/arms/fresh-2/sae/resid parent",
  ]);
});

test("names are unique, the carried SAE is the first and the only one of its role", () => {
  for (const preset of ["quick", "standard", "full"] as const) {
    for (const stages of [[], [wider], [wider, deeper]]) {
      const of = resolve({ stages, controls: { preset } });
      for (let stage = 0; stage <= stages.length; stage++) {
        const arms = stageArms(of, stage, "resid");
        expect(new Set(arms.map(({ arm }) => arm)).size).toBe(arms.length);
        expect(arms.map(({ role }) => role).lastIndexOf("carried")).toBe(0);
      }
    }
  }
});

test("SAEs of one model are grouped in their order", () => {
  const groups = byModel(stageArms(plan, 2, "resid"));
  expect([...groups].map(([model, arms]) => [model, arms.map(({ arm }) => arm)])).toEqual([
    [
      "stages/02-deeper/model",
      [...["carried", "frozen", "fresh-1"], ...["rotated", "perturbed", "carried-4x"]],
    ],
    ["stages/02-deeper/expansion/model", ["carried-start"]],
    ["stages/01-wider/model", ["same-model", "fresh-parent-1"]],
    ["stages/02-deeper/arms/reinit/model", ["reinit", "perturbed-reinit"]],
    ["stages/02-deeper/arms/scratch/model", ["carried-scratch", "scratch-1"]],
    ["stages/02-deeper/arms/no-expand/model", ["no-expand"]],
  ]);
});
