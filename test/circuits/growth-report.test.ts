// growth.json from a run of two stages whose figures can be worked out by hand.
import { describe, expect, test } from "vitest";
import { type FiveQuestionsInput, growthReport } from "../../circuits/index.ts";
import { jsonDocuments } from "../../cli/json-schemas.ts";

const point = (arm: string, tokens: number, flops: number, held_out_loss: number) => ({
  ...{ arm, phase: "lm", tokens, flops, held_out_loss },
});

const input: FiveQuestionsInput = {
  stages: [
    {
      stage: "00-base",
      eval: {
        model: {
          ...{ held_out_loss: 4.5, held_out_se: 0.01, tokens_trained: 100, flops_trained: 1000 },
          params: 50,
        },
      },
      ...{ persistence: null, circuit: null },
    },
    {
      stage: "01-wider",
      expansion: { method: "net2net", exact: false },
      eval: {
        model: {
          ...{ held_out_loss: 4.2, held_out_se: 0.03, tokens_trained: 200, flops_trained: 3000 },
          ...{ params: 100, loss_after_expansion: 4.75 },
        },
        controls: {
          scratch: {
            ...{ held_out_loss: 4.1, held_out_se: 0.04, tokens_trained: 200, flops_trained: 4000 },
          },
          "no-expand": {
            ...{ held_out_loss: 4.4, held_out_se: 0.04, tokens_trained: 200, flops_trained: 2000 },
          },
        },
      },
      ...{ persistence: null, circuit: null },
    },
  ],
  curves: [
    point("carried", 100, 1000, 4.75),
    point("carried", 200, 3000, 4.3), // measured on less text than the evaluation: 4.2 counts
    point("scratch", 150, 3000, 4.3),
    point("scratch", 200, 4000, 4.15),
    point("no-expand", 200, 2000, 4.45),
  ],
};

describe("growthReport", () => {
  const { stages, comparisons } = growthReport(input);

  test("is a growth.json", () => {
    const schema = jsonDocuments.growth.schema;
    expect(schema.parse(growthReport(input))).toEqual(growthReport(input));
  });

  test("states what each stage spent, and the loss before, right after and after training", () => {
    expect(stages[0]).toMatchObject({ tokens: 100, flops: 1000, loss_before: null, loss: 4.5 });
    expect(stages[1]).toMatchObject({
      ...{ method: "net2net", exact: false, params: 100 },
      ...{ tokens: 100, tokens_total: 200, flops: 2000, flops_total: 3000 },
      ...{ loss_before: 4.5, loss_after_expansion: 4.75, loss_jump: 0.25, loss: 4.2 },
    });
  });

  test("reads both models at the same tokens and at the same operations", () => {
    expect(comparisons.map(({ arm, matched, at }) => [arm, matched, at])).toEqual([
      ["no-expand", "tokens", 200],
      ["no-expand", "flops", 2000],
      ["scratch", "tokens", 200],
      ["scratch", "flops", 3000],
    ]);
    const [unexpanded, , byTokens, byFlops] = comparisons;
    expect(unexpanded.difference).toBeCloseTo(4.2 - 4.4, 12);
    expect(byTokens.difference).toBeCloseTo(4.2 - 4.1, 12);
    expect(byFlops).toMatchObject({ grown: 4.2, control: 4.3, read: { grown: 1, control: 0.75 } });
  });

  test("gives intervals from both standard errors: 1.96 · √(.03² + .04²) = .098", () => {
    expect(comparisons[2].ci?.[0]).toBeCloseTo(0.1 - 0.098, 12);
    expect(comparisons[2].ci?.[1]).toBeCloseTo(0.1 + 0.098, 12);
  });

  test("has no comparison where no control was trained", () => {
    const [base, wider] = input.stages;
    const alone = { ...wider, eval: { model: wider.eval.model } };
    expect(growthReport({ ...input, stages: [base, alone] }).comparisons).toEqual([]);
  });
});
