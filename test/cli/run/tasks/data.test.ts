// The data task: whose tokenizer it takes, and that a tokenizer its model can't follow is refused.
import { cpSync, existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { resolvePlan } from "../../../../cli/plan/index.ts";
import type { PlanInput, ResolvedPlan } from "../../../../cli/plan/types.ts";
import { TaskContext } from "../../../../cli/run/task-context.ts";
import { dataTask } from "../../../../cli/run/tasks/data.ts";
import { readTokenSet, Tokenizer } from "../../../../src/data/index.ts";
import { createRng } from "../../../../src/engine/index.ts";
import { gpt2Config, initGpt2, saveModel } from "../../../../src/models/index.ts";
import { temporaryFolder } from "../../../support/folder.ts";
import { makeSmallRun } from "../../../support/small-run.ts";

const at = temporaryFolder();

function run(plan: ResolvedPlan): Promise<string[]> {
  const task = { id: "data", stage: 0, title: "corpus", needs: [], cost: 1 };
  const spec = { kind: "data" } as const;
  return dataTask(
    new TaskContext(
      at("run"),
      plan,
      { ...task, spec },
      () => {},
      () => false,
    ),
  );
}

test("a model's tokenizer is taken, also where the model has ids to spare, but not one with more tokens", async () => {
  const small = await makeSmallRun(at("small"));
  const { vocabSize } = Tokenizer.load(join(small.model, "tokenizer.json"));
  const plan = (vocab_size: number): PlanInput => {
    const path = at(`vocabulary ${vocab_size}`);
    const sizes = { n_positions: 16, n_embd: 4, n_layer: 1, n_head: 1 };
    saveModel(path, initGpt2(gpt2Config({ vocab_size, ...sizes }), createRng(0)));
    cpSync(join(small.model, "tokenizer.json"), join(path, "tokenizer.json"));
    return { data: { path: small.text, context: 16 }, model: { path } };
  };
  await expect(run(resolvePlan(plan(vocabSize - 1), "/", "plan.yaml"))).rejects.toMatchObject({
    name: "UsageError",
    code: "tokenizer-mismatch",
    where: at(`vocabulary ${vocabSize - 1}`, "tokenizer.json"),
    expected: `at most the model's ${vocabSize - 1} tokens`,
  });
  expect(existsSync(at("run", "data"))).toBe(false);
  const outputs = await run(resolvePlan(plan(vocabSize + 3), "/", "plan.yaml"));
  for (const path of outputs) expect(existsSync(at("run", path))).toBe(true);
  const { ids, nSeq } = readTokenSet(at("run", "data", "train.safetensors"), vocabSize);
  expect(nSeq).toBeGreaterThan(0);
  expect(ids.length).toBe(nSeq * 16);
});
