// Which models are kept over a stage's training, by hand.
import { describe, expect, test } from "vitest";
import { resolvePlan } from "../../../cli/plan/index.ts";
import type { ResolvedPlan } from "../../../cli/plan/types.ts";
import { checkpointDir, checkpoints, trainingSteps } from "../../../cli/run/checkpoints.ts";

/** Steps of 32 tokens in the base and the from-scratch model, of 64 in the stages. */
function plan(kept: number, tokens = 1000): ResolvedPlan {
  const train = { tokens, batch_tokens: 70, checkpoints: kept };
  return resolvePlan(
    {
      data: { context: 32 },
      model: { train: { tokens: 640, batch_tokens: 32 } },
      stages: [
        { expand: { width: 80 }, train },
        { expand: { layers: 3 }, train },
      ],
    },
    "/",
    "plan.yaml",
  );
}

const steps = (of: ResolvedPlan, stage: number, arm: string): number[] =>
  checkpoints(of, stage, arm).map(({ step }) => step);

describe("checkpoints", () => {
  test("lie at 1/8, 1/4 and 1/2 of a stage's steps of whole sequences", () => {
    expect(trainingSteps(plan(3), { batch_tokens: 70 }, 1000)).toEqual({
      steps: 16,
      batchTokens: 64,
    });
    expect(checkpoints(plan(3), 1, "carried")).toEqual([
      { step: 2, tokens: 128 },
      { step: 4, tokens: 256 },
      { step: 8, tokens: 512 },
    ]);
  });

  test("the from-scratch model keeps those of as many tokens in all, and where the stage began; at the last stage alone", () => {
    // 640 + 1000 tokens before, steps of 32: 1640, 1640 + 128, 1640 + 256, 1640 + 512
    expect(steps(plan(3), 2, "scratch")).toEqual([51, 55, 59, 67]);
    expect(checkpoints(plan(3), 2, "scratch")[3].tokens).toBe(67 * 32);
    expect(steps(plan(3), 1, "scratch")).toEqual([]);
  });

  test("there are none of the base, of other controls, of an untrained stage, or where none are asked for", () => {
    expect(steps(plan(3), 0, "carried")).toEqual([]);
    expect(steps(plan(3), 2, "no-expand")).toEqual([]);
    expect(steps(plan(3, 0), 2, "carried")).toEqual([]);
    expect([steps(plan(0), 2, "carried"), steps(plan(0), 2, "scratch")]).toEqual([[], []]);
  });

  test("of a short training each step is kept once, the end and the start never", () => {
    expect(steps(plan(20), 1, "carried")).toEqual([1, 2, 4, 8]);
    expect(steps(plan(3, 64), 1, "carried")).toEqual([]);
  });

  test("lie beside the arm's model", () => {
    expect(checkpointDir(plan(3), 2, "carried", { step: 4 })).toBe(
      "stages/02-deeper/checkpoints/step-000004",
    );
    expect(checkpointDir(plan(3), 2, "scratch", { step: 51 })).toBe(
      "stages/02-deeper/arms/scratch/checkpoints/step-000051",
    );
  });
});
