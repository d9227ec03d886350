import { beforeAll, describe, expect, test } from "vitest";
import {
  attribute,
  buildTasks,
  type CircuitDocument,
  circuitFile,
  circuitModel,
  describeCircuit,
  patchSetting,
  runCircuit,
  saeDictionary,
  scoreAtExpansion,
  splitPrompts,
} from "../../circuits/index.ts";
import { carrySae, type Sae } from "../../sae/index.ts";
import { createRng, tf, useBackend } from "../../src/engine/index.ts";
import { expandModel } from "../../src/expansion/index.ts";
import { type HostModel, initModel, placeModel } from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { pairedSource, randomSae, trainedModel } from "./small-run.ts";

const source = pairedSource();
const hook = "blocks.0.hook_resid_post";
const options = { prompts: 24, draws: 2, sweepDraws: 1, steps: 2 };
let host: HostModel;
let sae: Sae;

beforeAll(async () => {
  await useBackend(testBackend);
  host = await trainedModel(source);
  sae = randomSae(24, 40, hook);
});

function describeBase(): CircuitDocument {
  const model = placeModel(host);
  const stage = { stage: "00-base", model, sae, source, seed: 0 };
  const document = describeCircuit(stage, null, options);
  model.dispose();
  return document;
}

/** The model with an identity block on top. */
function deeper(): ReturnType<typeof expandModel> {
  const growth = { method: "lemon", depth_method: "identity", positions: "top" } as const;
  return expandModel(host, { ...growth, layers: 3, noise_db: null }, createRng(0));
}

describe("a trained model's circuit", () => {
  test("the task is one that the model does, and all three are stated", () => {
    const document = describeBase();
    expect(document.tasks.map((task) => task.task)).toEqual(["induction", "bigram", "quote"]);
    expect(document.tasks[1]).toMatchObject({ applicable: true, done: true });
    expect(document.tasks[2].reason).toMatch(/double quote/);
    expect(document.task).not.toBeNull();
    expect(circuitFile(document)).toBe(`${document.task}.json`);
    const chosen = document.tasks.find((task) => task.task === document.task)!;
    expect(chosen.difference! / chosen.se!).toBeGreaterThan(3);
  });

  test("it beats random circuits, its complement loses, and the document is plain JSON", () => {
    const document = describeBase();
    const { scores, nodes, sizes } = document;
    expect(nodes.length).toBeGreaterThan(0);
    expect(scores!.faithfulness.value!).toBeGreaterThan(scores!.random.mean!);
    expect(scores!.faithfulness.value!).toBeGreaterThan(scores!.completeness!);
    expect(sizes.at(-1)!.faithfulness).toBeCloseTo(1, 1);
    expect(document.prompts!.discovery + document.prompts!.evaluation).toBe(document.prompts!.n);
    expect(JSON.parse(JSON.stringify(document))).toEqual(document);
  });

  test("the same seed gives the same document, and no tensor is left behind", () => {
    const first = describeBase();
    const before = tf.memory().numTensors;
    expect(describeBase()).toEqual(first);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe("patching GPT-2", () => {
  test("all nodes give the clean run, none the corrupted one, through an SAE in the middle", () => {
    const model = placeModel(host);
    const set = buildTasks(source, 12, createRng(0))[1];
    if ("reason" in set) throw new Error(set.reason);
    const setting = patchSetting(circuitModel(model), set, saeDictionary(sae));
    expect(setting.empty).toBeAllclose(setting.corrupted.metric, { rtol: 1e-4, atol: 1e-4 });
    expect(runCircuit(setting, [], { complement: true })).toBeAllclose(setting.clean.metric, {
      rtol: 1e-4,
      atol: 1e-4,
    });
    model.dispose();
  });

  test("where corruption is small, attribution is the effect of patching, node by node", () => {
    // Interpolating towards the clean prompt isn't possible with tokens, so the corrupted values are
    // drawn towards the clean ones instead: the smaller the step, the better a gradient must do.
    const model = placeModel(host);
    const set = buildTasks(source, 12, createRng(0))[1];
    if ("reason" in set) throw new Error(set.reason);
    const { discovery } = splitPrompts(set);
    const full = patchSetting(circuitModel(model), discovery, null);
    const share = 0.02;
    const values = new Map(
      [...full.corrupted.values].map(([name, value]) => {
        const clean = full.clean.values.get(name)!;
        return [name, value.map((v, i) => clean[i] + share * (v - clean[i]))] as const;
      }),
    );
    const near = { ...full, corrupted: { ...full.corrupted, values } };
    for (const node of attribute(near, { steps: 1 })) {
      const without = runCircuit(near, [node], { complement: true });
      const exact =
        full.clean.metric.reduce((sum, value, i) => sum + value - without[i], 0) / discovery.n;
      expect(Math.abs(node.score - exact)).toBeLessThan(0.05 * Math.abs(exact) + 2e-3);
    }
    model.dispose();
  });
});

describe("a circuit carried through an exact expansion", () => {
  const growths = [
    { name: "wider, at an odd size", n_embd: 40, n_layer: 2 },
    { name: "deeper", n_embd: 24, n_layer: 4 },
    { name: "wider and deeper", n_embd: 32, n_layer: 3 },
  ];
  test.each(growths)(
    "$name: the mapped circuit is as faithful as in the parent",
    async (growth) => {
      const parent = describeBase();
      const { child, map } = await expandModel(
        host,
        {
          width: growth.n_embd,
          heads: growth.n_embd / 8,
          layers: growth.n_layer,
          mlp: growth.n_embd * 4,
          method: "lemon",
          depth_method: "identity",
          positions: "interleaved",
          noise_db: 10,
        },
        createRng("growth"),
      );
      const model = placeModel(child);
      const stage = { stage: "01-grown", model, sae: carrySae(sae, map).sae, source, seed: 0 };
      const atExpansion = scoreAtExpansion(stage, { document: parent, map }, options);
      expect(atExpansion!.value).toBeCloseTo(parent.scores!.faithfulness.value!, 3);
      expect(atExpansion!.ci).toBeAllclose(parent.scores!.faithfulness.ci!, { atol: 1e-3 });

      const document = describeCircuit(stage, { document: parent, map, atExpansion }, options);
      model.dispose();
      expect(document.task).toBe(parent.task);
      expect(document.task_inherited).toBe(true);
      expect(document.prompts!.digest).toBe(parent.prompts!.digest);
      const mapped = document.mapped!;
      expect(mapped.unmapped).toBe(0);
      expect(mapped.parent_faithfulness).toBe(parent.scores!.faithfulness.value);
      expect(mapped.faithfulness.value).toBeCloseTo(parent.scores!.faithfulness.value!, 3);
      expect(mapped.completeness).toBeCloseTo(parent.scores!.completeness!, 3);
      expect(mapped.heads).toHaveLength(3);
      for (const { parent: before, child: after } of mapped.heads) {
        expect(after!.score).toBeCloseTo(before.score, 3); // a copy attends as its original
      }
    },
  );

  test("a parent without a circuit leaves the child to look for its own", async () => {
    const parent = { ...describeBase(), task: null, prompts: null, nodes: [] };
    const { child, map } = await deeper();
    const model = placeModel(child);
    const stage = { stage: "01", model, sae: carrySae(sae, map).sae, source, seed: 0 };
    const document = describeCircuit(stage, { document: parent, map }, options);
    model.dispose();
    expect(document.task).not.toBeNull();
    expect(document.task_inherited).toBe(false);
    expect(document.mapped).toBeNull();
  });

  test("a child with random weights inherits nothing, and the ratio is refused or small", async () => {
    const parent = describeBase();
    const { child, map } = await deeper();
    const model = placeModel(initModel(child.config, createRng("other")));
    const stage = { stage: "01", model, sae: carrySae(sae, map).sae, source, seed: 0 };
    const document = describeCircuit(stage, { document: parent, map }, options);
    model.dispose();
    const { value, reason } = document.mapped!.faithfulness;
    expect(document.tasks.find((task) => task.task === parent.task)!.done).toBe(false);
    if (value === null) expect(reason).toMatch(/standard errors/);
    else expect(value).toBeLessThan(0.2);
  });

  test("prompts of another seed are refused", async () => {
    const { child, map } = await deeper();
    const model = placeModel(child);
    const stage = { stage: "01", model, sae: null, source, seed: 1 };
    expect(() => describeCircuit(stage, { document: describeBase(), map }, options)).toThrow(
      "other prompts",
    );
    model.dispose();
  });
});
