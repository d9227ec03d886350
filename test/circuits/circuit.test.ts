import { beforeAll, expect, test } from "vitest";
import {
  attribute,
  chooseSize,
  patchSetting,
  randomNodes,
  randomSameKinds,
  scoreCircuit,
  sweep,
  sweepAreas,
} from "../../circuits/index.ts";
import { nodeKey } from "../../circuits/nodes.ts";
import { packPrompts } from "../../circuits/tasks/prompts.ts";
import { createRng, useBackend } from "../../src/engine/index.ts";
import { testBackend } from "../support/backend.ts";
import { dictionary, linearModel, prompts } from "./linear-model.ts";

// Both prompts move the metric the same way: (1,2) → (3,5) and (1,2) → (0,0) would not.
const steady = packPrompts("bigram", [
  { clean: [0, 2], corrupted: [0, 1], answer: 0, wrong: 1 },
  { clean: [1, 2], corrupted: [1, 1], answer: 0, wrong: 1 },
]);

beforeAll(async () => {
  await useBackend(testBackend);
});

test("a sweep ends at faithfulness 1 and completeness 0 with every node in", () => {
  const setting = patchSetting(linearModel, steady, dictionary);
  const ranked = attribute(setting);
  const rows = sweep(setting, ranked, 2, createRng(0));
  expect(rows.map((row) => row.n)).toEqual([1, 2, 4, ranked.length]);
  expect(rows.at(-1)!.faithfulness).toBeCloseTo(1, 5);
  expect(rows.at(-1)!.completeness).toBeCloseTo(0, 5);
  expect(rows.at(-1)!.random).toBeNull(); // every node: nothing is random
});

test("the size is the smallest that reaches the target, or the most allowed when none does", () => {
  const setting = patchSetting(linearModel, steady, null);
  const ranked = attribute(setting);
  expect(chooseSize(setting, ranked, { target: 0.99, most: 64 })).toEqual({
    size: 3,
    reached: true,
  });
  expect(chooseSize(setting, ranked, { target: 2, most: 2 })).toEqual({ size: 2, reached: false });
});

test("scores are null with a reason where the prompts disagree about the effect", () => {
  const setting = patchSetting(linearModel, prompts, null); // −256 and +144
  const ranked = attribute(setting);
  const scores = scoreCircuit(setting, ranked, ranked, 2, createRng(0));
  expect(scores.faithfulness.value).toBeNull();
  expect(scores.faithfulness.reason).toMatch(/standard errors/);
  expect(scores.random.mean).toBeNull();
  expect(sweep(setting, ranked, 1, createRng(0)).every((row) => row.faithfulness === null)).toBe(
    true,
  );
});

test("areas of a hand-drawn sweep: CPR and CMD by trapezoids", () => {
  const row = { completeness: null, random: null };
  const rows = [
    { n: 1, faithfulness: 0.5, ...row },
    { n: 2, faithfulness: 1.5, ...row },
    { n: 4, faithfulness: 1, ...row },
  ];
  const { cpr, cmd } = sweepAreas(rows);
  // ¼(0 + .5)/2 + ¼(.5 + 1.5)/2 + ½(1.5 + 1)/2 and ¼(1 + .5)/2 + ¼(.5 + .5)/2 + ½(.5 + 0)/2
  expect(cpr).toBeCloseTo(0.0625 + 0.25 + 0.625, 12);
  expect(cmd).toBeCloseTo(0.1875 + 0.125 + 0.125, 12);
  expect(sweepAreas([])).toEqual({ cpr: null, cmd: null });
});

test("random circuits have the size, or the size and kinds, of the circuit, and follow the seed", () => {
  const candidates = [
    ...[0, 1, 2].map((index) => ({ type: "head" as const, layer: 0, index })),
    ...[0, 1, 2, 3, 4].map((index) => ({ type: "latent" as const, layer: 0, index })),
  ];
  const circuit = [candidates[0], candidates[3], candidates[4]];
  for (let seed = 0; seed < 20; seed++) {
    const drawn = randomSameKinds(candidates, circuit, createRng(seed));
    expect(drawn.filter((node) => node.type === "head")).toHaveLength(1);
    expect(new Set(drawn.map(nodeKey)).size).toBe(3);
    expect(randomNodes(candidates, 4, createRng(seed))).toEqual(
      randomNodes(candidates, 4, createRng(seed)),
    );
  }
});

test("running a circuit leaves no tensors behind", async () => {
  const { tf } = await import("../../src/engine/index.ts");
  const before = tf.memory().numTensors;
  const setting = patchSetting(linearModel, steady, dictionary);
  scoreCircuit(setting, attribute(setting), attribute(setting), 1, createRng(0));
  expect(tf.memory().numTensors).toBe(before);
});
