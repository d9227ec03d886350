import { beforeAll, expect, test } from "vitest";
import { attribute, patchSetting, runCircuit } from "../../circuits/index.ts";
import { nodeKey } from "../../circuits/nodes.ts";
import { useBackend } from "../../src/engine/index.ts";
import { testBackend } from "../support/backend.ts";
import { dictionary, linearModel, prompts } from "./linear-model.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

test("on a linear model the hand-computed scores come out", () => {
  const nodes = attribute(patchSetting(linearModel, prompts, null), { steps: 1 });
  // Embeddings at the last position: clean (1,2) and (−1,4), corrupted (3,5) and (1,2).
  // Clean − corrupted: (−2,−3) and (−2,2), mean (−2,−½). z = 2e reaches x directly and through the
  // MLP (1 + 3), so head 0 scores 2·4·1·(−2) = −16 and head 1 scores 2·4·10·(−½) = −40.
  // mlp = 6e: 6·(−2)·1 + 6·(−½)·10 = −42.
  const scores = Object.fromEntries(nodes.map((node) => [nodeKey(node), node.score]));
  expect(scores["head:0:0"]).toBeCloseTo(-16, 5);
  expect(scores["head:0:1"]).toBeCloseTo(-40, 5);
  expect(scores["mlp:0:0"]).toBeCloseTo(-42, 5);
  expect(nodes.map(nodeKey)).toEqual(["mlp:0:0", "head:0:1", "head:0:0"]);
});

test("on a linear model each score is exactly what corrupting that node alone does", () => {
  const setting = patchSetting(linearModel, prompts, dictionary);
  const nodes = attribute(setting);
  expect(new Set(nodes.map((node) => node.type))).toEqual(
    new Set(["head", "mlp", "latent", "error"]),
  );
  for (const node of nodes) {
    const without = runCircuit(setting, [node], { complement: true });
    const exact =
      setting.clean.metric.reduce((sum, value, i) => sum + value - without[i], 0) / prompts.n;
    expect(node.score, nodeKey(node)).toBeCloseTo(exact, 3);
  }
});

test("latents and error add up to the effect of the whole hook", () => {
  const setting = patchSetting(linearModel, prompts, dictionary);
  const sum = attribute(setting)
    .filter((node) => node.type === "latent" || node.type === "error")
    .reduce((total, node) => total + node.score, 0);
  const whole = setting.clean.metric.map((value, i) => value - setting.corrupted.metric[i]);
  expect(sum).toBeCloseTo(whole.reduce((a, b) => a + b, 0) / prompts.n, 3);
});

test("the number of gradient steps changes nothing on a linear model", () => {
  const setting = patchSetting(linearModel, prompts, dictionary);
  const one = attribute(setting, { steps: 1 });
  const many = attribute(setting, { steps: 4 });
  expect(many.map(nodeKey)).toEqual(one.map(nodeKey));
  expect(many.map((node) => node.score)).toBeAllclose(
    one.map((node) => node.score),
    { rtol: 1e-4, atol: 1e-4 },
  );
});
