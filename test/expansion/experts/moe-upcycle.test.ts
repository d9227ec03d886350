// Upcycling to experts: exact in f64 and f32 and in transformers, alone and while width and depth grow; whatever the
// router; what the map says; how the experts part; what can't be upcycled.
import { beforeAll, describe, expect, test } from "vitest";
import {
  createRng,
  crossEntropy,
  tf,
  useBackend,
  valueAndGrads,
} from "../../../src/engine/index.ts";
import {
  childConfig,
  composeMaps,
  type ExpandOptions,
  executePlan,
  expandModel,
  expertSpread,
  growMoments,
  hookEntry,
  mapVectors,
  measureExactness,
  neuronCopies,
  parseGrowth,
  planExpansion,
  readMap,
  writeMap,
} from "../../../src/expansion/index.ts";
import { UsageError } from "../../../src/io/index.ts";
import {
  activationsAt,
  createLmTrainer,
  forwardHidden,
  type HostModel,
  llamaConfig,
  lmTrainDefaults,
  loadModel,
  type ModelConfig,
  modelSizes,
  placeModel,
  saveModel,
  shift,
  unembedding,
} from "../../../src/models/index.ts";
import { testBackend } from "../../support/backend.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { forwardF64 } from "../../support/forward-f64.ts";
import { executePlanF64 } from "../../support/growth-f64.ts";
import { python } from "../../support/python.ts";
import { roughConfigs, roughModel, roughVocabulary } from "../../support/rough-models.ts";

const at = temporaryFolder();
const defaults: ExpandOptions = {
  method: "lemon",
  depth_method: "identity",
  positions: "interleaved",
  noise_db: 10,
};
const parents = ["llama", "llama tied, a key head for each query head", "mistral"] as const;
const growths: readonly Partial<ExpandOptions>[] = [
  { experts: 4 },
  { experts: 3, expertsPerToken: 1 },
  { experts: 2, expertsPerToken: 2, mlp: 50 },
  { experts: 5, expertsPerToken: 3, width: 40, layers: 4 },
  { experts: 3, width: 56, layers: 3, depth_method: "stack" },
];
const tokens = createRng("tokens");
const ids = Int32Array.from({ length: 4 * 15 }, () => tokens.int(roughVocabulary));

beforeAll(async () => {
  await useBackend(testBackend);
});

async function grown(parent: HostModel, growth: Partial<ExpandOptions>) {
  return expandModel(parent, { ...defaults, ...growth }, createRng("growth"));
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);
}

describe.each(parents)("%s", (name) => {
  const parent = roughModel(roughConfigs[name], name);
  const exact = growths.filter(({ depth_method }) => depth_method !== "stack");

  test("becomes experts exactly: 1e-10 in f64", () => {
    const want = forwardF64(parent, ids.subarray(0, 15)).logits;
    for (const growth of exact) {
      const planned = planExpansion(parent.config, { ...defaults, ...growth }, createRng(1));
      const child = executePlanF64(planned.growth.plan, parent, createRng(2));
      const got = forwardF64(child, ids.subarray(0, 15)).logits;
      expect(largestDifference(got, want), JSON.stringify(growth)).toBeLessThan(1e-10);
    }
  });

  test("becomes experts exactly: logits to 1e-4 and the stream to 1e-5 in f32", async () => {
    for (const growth of exact) {
      const { child, map } = await grown(parent, growth);
      const [small, big] = [placeModel(parent), placeModel(child)];
      const { max_abs_dlogit, boundaries } = await measureExactness(small, big, map, ids, 4);
      expect(max_abs_dlogit, JSON.stringify(growth)).toBeLessThanOrEqual(1e-4);
      expect(Math.max(...boundaries.map(({ rel_err }) => rel_err))).toBeLessThanOrEqual(1e-5);
      expect(map.exact).toBe(true);
      expect(map.method.endsWith("moe-upcycle")).toBe(true);
      small.dispose();
      big.dispose();
    }
  });
});

const script = `
import sys, json, torch
from transformers import AutoModelForCausalLM
ids = torch.arange(60).reshape(4, 15) ** 2 % 61
def logits(folder):
    model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    if model.config.model_type == "mixtral": # its fast products take widths of 16 bytes only
        model.set_experts_implementation("eager")
    with torch.no_grad():
        return model(ids).logits
parent, *children = [logits(folder) for folder in sys.argv[1:]]
print(json.dumps([(child - parent).abs().max().item() for child in children]))
`;

python.test("upcycled checkpoints have their parent's logits in transformers", async (run) => {
  const parent = roughModel(roughConfigs.mistral, 1);
  saveModel(at("parent"), parent);
  const folders = [at("parent")];
  for (const [i, growth] of growths.slice(0, 4).entries()) {
    const { child } = await grown(parent, growth);
    folders.push(at(`child-${i}`));
    saveModel(folders[i + 1], child);
    expect([...loadModel(folders[i + 1]).weights.keys()]).toEqual([...child.weights.keys()]);
  }
  const differences = JSON.parse(await run(script, folders)) as number[];
  expect(differences).toHaveLength(4);
  for (const difference of differences) expect(difference).toBeLessThanOrEqual(1e-4);
});

describe("any router will do, and only the copies make it exact", () => {
  const parent = roughModel(roughConfigs.llama, 1);
  const logits = (host: HostModel) => forwardF64(host, ids.subarray(0, 15)).logits;
  const changed = (child: HostModel, pattern: RegExp, by: (x: number) => number): HostModel => ({
    config: child.config,
    weights: new Map(
      [...child.weights].map(([name, { shape, data }]) => {
        const values = Float64Array.from(data as Float32Array, pattern.test(name) ? by : (x) => x);
        return [name, { shape, data: values }];
      }),
    ),
  });

  test("a router a thousand times as steep changes nothing; one expert's weights do", async () => {
    const { child } = await grown(parent, { experts: 4 });
    const router = child.weights.get("model.layers.0.block_sparse_moe.gate.weight")!;
    expect(router.shape).toEqual([4, 28]);
    const values = [...(router.data as Float32Array)];
    const deviation = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
    expect(deviation).toBeGreaterThan(0.015);
    expect(deviation).toBeLessThan(0.025);
    const steep = changed(child, /gate\.weight$/, (x) => 1000 * x);
    expect(largestDifference(logits(steep), logits(parent))).toBeLessThan(1e-10);
    const other = changed(child, /layers\.0\..*experts\.1\.w2/, (x) => 1.1 * x);
    expect(largestDifference(logits(other), logits(parent))).toBeGreaterThan(1e-3);
  });

  test("noise that sums to zero over the experts is not exact: a token uses some of them", async () => {
    const { child } = await grown(parent, { experts: 4 });
    const up = changed(child, /experts\.[02]\.w2/, (x) => 1.1 * x);
    const noisy = changed(up, /experts\.[13]\.w2/, (x) => 0.9 * x);
    expect(largestDifference(logits(noisy), logits(parent))).toBeGreaterThan(1e-3);
  });
});

describe("the map", () => {
  const parent = roughModel(roughConfigs.llama, 1);

  test("leads a neuron to every expert, leaves the stream alone and names the routers fresh", async () => {
    const { child, map } = await grown(parent, { experts: 3, mlp: 40, layers: 3, positions: [0] });
    expect(map.experts?.map((layer) => [...layer])).toEqual([
      [0, 0, 0],
      [-1, -1, -1],
      [0, 0, 0],
    ]);
    // 37 neurons to 40: neuron 1 has a copy, number 38
    const copies = neuronCopies(map, 1, 1);
    expect(copies.map(({ layer, expert, index }) => [layer, expert, index])).toEqual(
      [0, 1, 2].map((expert) => [2, expert, 1]).concat([0, 1, 2].map((expert) => [2, expert, 38])),
    );
    expect(copies.filter(({ expert }) => expert === 0).reduce((sum, c) => sum + c.alpha, 0)).toBe(
      1,
    );
    const w1 = (expert: number) =>
      child.weights.get(`model.layers.2.block_sparse_moe.experts.${expert}.w1.weight`)!.data;
    expect(w1(0).slice(28, 56)).toEqual(w1(2).slice(38 * 28, 39 * 28));
    expect(hookEntry(map, "blocks.1.hook_resid_post")).toMatchObject({ tensor: "identity" });
    expect(hookEntry(map, "blocks.1.mlp.hook_post")).toBeUndefined();
    expect(map.fresh).toContain("model.layers.0.block_sparse_moe.gate.weight");
    expect(map.fresh).not.toContain("model.layers.0.block_sparse_moe.experts.0.w1.weight");
    expect(map.child).toMatchObject({ n_expert: 3, n_expert_per_token: 2, d_mlp: 40 });
  });

  test("is the same when read, and refuses experts that are not there", async () => {
    const { map } = await grown(parent, { experts: 3 });
    writeMap(at("map"), map);
    expect(readMap(at("map"))).toEqual({
      ...map,
      neurons: readMap(at("map")).neurons, // shares are stored in f32
      heads: readMap(at("map")).heads,
    });
    writeMap(at("bad"), { ...map, experts: map.experts!.map(() => Int32Array.of(0, 1, 0)) });
    expect(() => readMap(at("bad"))).toThrow(UsageError);
  });

  test("composes: growth before and after upcycling", async () => {
    const wide = await grown(parent, { width: 40, layers: 3, positions: [0] });
    const routed = await grown(wide.child, { experts: 3 });
    const deep = await grown(routed.child, { layers: 4, positions: [2], mlp: 60 });
    expect(modelSizes(deep.child.config).experts).toEqual({ count: 3, perToken: 2 });
    expect(deep.map.experts?.map((layer) => [...layer])).toEqual([
      [0, 1, 2],
      [0, 1, 2],
      [0, 1, 2],
      [-1, -1, -1],
    ]);
    const map = composeMaps(composeMaps(wide.map, routed.map), deep.map);
    expect(map.experts?.map((layer) => [...layer])).toEqual([
      [0, 0, 0],
      [-1, -1, -1],
      [0, 0, 0],
      [-1, -1, -1],
    ]);
    expect(hookEntry(map, "blocks.0.mlp.hook_post")).toBeUndefined();
    for (const name of map.fresh) expect([...deep.child.weights.keys()], name).toContain(name);
    const [small, big] = [placeModel(parent), placeModel(deep.child)];
    const { max_abs_dlogit, boundaries } = await measureExactness(small, big, map, ids, 4);
    expect(max_abs_dlogit).toBeLessThanOrEqual(1e-4);
    expect(Math.max(...boundaries.map(({ rel_err }) => rel_err))).toBeLessThanOrEqual(1e-5);
    small.dispose();
    big.dispose();
  });
});

test("a Mixtral grows: the router chooses the same, and each expert's neurons are copied where the map says", async () => {
  const parent = roughModel(roughConfigs.mixtral, 1);
  const { child, map } = await grown(parent, { width: 56, mlp: 50, layers: 3, positions: [-1] });
  const [small, big] = [placeModel(parent), placeModel(child)];
  for (const point of ["hook_expert_weights", "experts.0.hook_post", "experts.4.hook_post"]) {
    const from = `blocks.1.mlp.${point}`;
    const entry = hookEntry(map, from)!;
    expect(entry.to).toEqual([`blocks.2.mlp.${point}`]);
    const [was, is] = [activationsAt(small, ids, 4, from), activationsAt(big, ids, 4, entry.to[0])];
    const want = mapVectors(map, entry.tensor, (await was.data()) as Float32Array);
    expect(await is.data()).toBeAllclose(want, { rtol: 1e-4, atol: 1e-5 });
    tf.dispose([was, is]);
  }
  small.dispose();
  big.dispose();
});

describe("gradients and moments", () => {
  const parent = roughModel(roughConfigs.llama, 1);
  const planned = planExpansion(
    parent.config,
    { ...defaults, experts: 3, mlp: 44, noise_db: null },
    createRng(1),
  );

  async function gradientsOf(host: HostModel, names: readonly string[]): Promise<Float32Array[]> {
    const model = placeModel(host);
    const { inputs, targets, batch } = shift(ids, 15);
    const { value, grads } = valueAndGrads(
      () => crossEntropy(forwardHidden(model, inputs, batch), unembedding(model), targets),
      names.map((name) => model.params.get(name) as tf.Tensor),
    );
    const found = await Promise.all(grads.map(async (grad) => (await grad.data()).slice()));
    tf.dispose([value, ...grads]);
    model.dispose();
    return found as Float32Array[];
  }

  test("the experts' gradients sum to the dense model's", async () => {
    const plan = planExpansion(parent.config, { ...defaults, experts: 3 }, createRng(1));
    const child = await executePlan(plan.growth.plan, parent, createRng(2));
    const matrices = [
      ["mlp.gate_proj", "w1"],
      ["mlp.up_proj", "w3"],
      ["mlp.down_proj", "w2"],
    ] as const;
    for (const [dense, own] of matrices) {
      const at = "model.layers.1";
      const [want] = await gradientsOf(parent, [`${at}.${dense}.weight`]);
      const names = [0, 1, 2].map((e) => `${at}.block_sparse_moe.experts.${e}.${own}.weight`);
      const parts = await gradientsOf(child, names);
      expect(want.map((_, i) => parts.reduce((sum, part) => sum + part[i], 0))).toBeAllclose(want, {
        rtol: 1e-3,
        atol: 1e-6,
      });
      expect(largestDifference(parts[0], parts[1])).toBeGreaterThan(1e-5);
    }
  });

  test("the router has no gradient of the cross-entropy at first: its experts are the same", async () => {
    const plan = planExpansion(parent.config, { ...defaults, experts: 3 }, createRng(1));
    const child = await executePlan(plan.growth.plan, parent, createRng(2));
    const [router, expert] = await gradientsOf(child, [
      "model.layers.1.block_sparse_moe.gate.weight",
      "model.layers.1.block_sparse_moe.experts.0.w1.weight",
    ]);
    expect(Math.max(...router.map(Math.abs))).toBeLessThan(1e-6);
    expect(Math.max(...expert.map(Math.abs))).toBeGreaterThan(1e-3);
  });

  test("moments are shared evenly, or stay with the first expert; the router begins with zeros", () => {
    const m = new Map(
      [...parent.weights].map(([name, { data }]) => [
        name,
        Float32Array.from(data as Float32Array),
      ]),
    );
    const v = new Map([...m].map(([name, values]) => [name, values.map((x) => x * x)]));
    const w2 = (e: number) => `model.layers.0.block_sparse_moe.experts.${e}.w2.weight`;
    const [dense] = [m.get("model.layers.0.mlp.down_proj.weight")!];
    for (const policy of ["carry", "asymmetric"] as const) {
      const state = growMoments(planned.growth, parent.config, { step: 7, m, v }, policy);
      for (const e of [0, 1, 2]) {
        const [first, second] = [state.m.get(w2(e))!, state.v.get(w2(e))!];
        // an output weight of a copied neuron has the gradient that the parent's has; column 20 has no copy
        const share = policy === "carry" || e === 0 ? 1 / 3 : 0;
        expect(first[20]).toBeCloseTo(dense[20] * share, 6);
        expect(second[20]).toBeCloseTo((dense[20] * share) ** 2, 6);
      }
      const router = state.m.get("model.layers.0.block_sparse_moe.gate.weight")!;
      expect(router.every((x) => x === 0)).toBe(true);
    }
  });
});

describe("how experts part", () => {
  test("copies at first, by their tokens after training, by noise where inputs are copied", async () => {
    const parent = roughModel(roughConfigs.llama, 1);
    expect(expertSpread(parent)).toBeNull();
    const { child } = await grown(parent, { experts: 4 });
    expect(expertSpread(child)).toBe(0);
    const trainer = createLmTrainer(child, { ...lmTrainDefaults, steps: 20 });
    for (let step = 0; step < 20; step++) await trainer.step({ ids, context: 15 });
    expect(expertSpread(await trainer.model())).toBeGreaterThan(1e-4);
    trainer.dispose();
    const wide = await grown(parent, { experts: 4, width: 56 });
    expect(expertSpread(wide.child)).toBeGreaterThan(1e-3);
    const silent = await grown(parent, { experts: 4, width: 56, noise_db: null });
    expect(expertSpread(silent.child)).toBe(0);
  });

  test("a model of one expert per weight by hand: the variance over the mean square", () => {
    const config = { ...roughConfigs.mixtral, num_local_experts: 2, num_experts_per_tok: 1 };
    const expert = (e: number, value: number) =>
      [
        `model.layers.0.block_sparse_moe.experts.${e}.w1.weight`,
        { shape: [1], data: Float32Array.of(value) },
      ] as const;
    const weights = new Map([expert(0, 1), expert(1, 3)]);
    expect(expertSpread({ config: config as ModelConfig, weights })).toBeCloseTo(2 / 10, 12);
  });
});

describe("what can't be upcycled is refused by name", () => {
  const problem = (config: ModelConfig, sizes: Parameters<typeof childConfig>[1]): UsageError => {
    try {
      childConfig(config, sizes);
    } catch (error) {
      if (error instanceof UsageError) return error;
      throw error;
    }
    throw new Error("it was accepted");
  };

  test.each([
    ["neox", "GPT-NeoX"],
    ["qwen2 tied", "biases of its queries"],
    ["qwen3", "norms of its heads"],
    ["mixtral", "experts already"],
  ])("%s", (name, why) => {
    const error = problem(roughConfigs[name], { experts: 4 });
    expect(error).toMatchObject({ code: "experts-unsupported", where: "--experts" });
    expect(error.hint).toContain(why);
  });

  test("a Llama with biases, a single expert, more of them than there are", () => {
    const biased = roughConfigs["llama with biases, one key head, Llama 3.1's frequencies"];
    expect(problem(biased, { experts: 4 }).got).toBe("attention_bias: true");
    const { llama } = roughConfigs;
    expect(problem(llama, { experts: 1 }).code).toBe("experts-unsupported");
    expect(problem(llama, { experts: 4, expertsPerToken: 5 })).toMatchObject({
      code: "experts-per-token",
      expected: "a whole number from 1 to the 4 experts",
    });
    expect(problem(llama, { layers: 3, expertsPerToken: 2 }).code).toBe("experts-per-token");
  });

  test("ligo has no operator on experts; widths that transformers can't group are noted", () => {
    const { llama } = roughConfigs;
    const learnt = () => parseGrowth({ width: 36, experts: 2, method: "ligo" }, llama);
    expect(learnt).toThrow(UsageError);
    expect(learnt).toThrow(/--experts/);
    expect(parseGrowth({ experts: 2 }, llama).notes.join()).toContain("eager");
    expect(parseGrowth({ experts: 2, width: 56, mlp: 40 }, llama).notes.join()).not.toContain(
      "eager",
    );
  });

  test("frequencies that are stretched stay so", () => {
    const config = llamaConfig({
      vocab_size: 9,
      max_position_embeddings: 8,
      hidden_size: 8,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      intermediate_size: 12,
      rope: { theta: 500, share: 1, scaling: { rope_type: "linear", factor: 3 } },
    });
    expect(childConfig(config, { experts: 2 })).toMatchObject({
      model_type: "mixtral",
      rope: config.rope,
      head_dim: 4,
      num_experts_per_tok: 2,
    });
  });
});
