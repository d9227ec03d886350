// Growth of the GPT-NeoX and Llama families: the traps of their layouts; what can't be grown exactly is refused; copies
// part in training. That growth is exact is in verification.test.ts.
import { beforeAll, describe, expect, test } from "vitest";
import { createRng, tf, useBackend } from "../../src/engine/index.ts";
import {
  childConfig,
  copySpread,
  type ExpandOptions,
  expandModel,
  measureExactness,
  offImageEnergy,
  parseGrowth,
} from "../../src/expansion/index.ts";
import { UsageError } from "../../src/io/index.ts";
import {
  activationsAt,
  createLmTrainer,
  forwardLogits,
  type HostModel,
  llamaConfig,
  lmTrainDefaults,
  type ModelConfig,
  modelSizes,
  placeModel,
} from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { roughConfigs, roughModel, roughVocabulary } from "../support/rough-models.ts";

const defaults: ExpandOptions = {
  method: "lemon",
  depth_method: "identity",
  positions: "interleaved",
  noise_db: 10,
};

const tokens = createRng("tokens");
const ids = Int32Array.from({ length: 4 * 15 }, () => tokens.int(roughVocabulary));

beforeAll(async () => {
  await useBackend(testBackend);
});

async function errors(
  parent: HostModel,
  child: HostModel,
  map: Parameters<typeof measureExactness>[2],
) {
  const [small, big] = [placeModel(parent), placeModel(child)];
  const exactness = await measureExactness(small, big, map, ids, 4);
  small.dispose();
  big.dispose();
  return {
    logits: exactness.max_abs_dlogit,
    boundary: Math.max(...exactness.boundaries.map(({ rel_err }) => rel_err)),
    boundaries: exactness.boundaries.length,
  };
}

describe("the traps", () => {
  const cases: readonly [string, Partial<ExpandOptions>][] = [
    ["neox", { width: 70 }],
    ["llama tied, a key head for each query head", { width: 60 }],
    ["llama", { width: 60 }],
  ];

  test.each(cases)("%s: an epsilon that is not rescaled shows", async (name, growth) => {
    const parent = roughModel(roughConfigs[name], name);
    const { child, map } = await expandModel(parent, { ...defaults, ...growth }, createRng(1));
    const { normEps } = modelSizes(parent.config);
    expect(modelSizes(child.config).normEps).toBeLessThan(normEps);
    const field = "layer_norm_eps" in child.config ? "layer_norm_eps" : "rms_norm_eps";
    const config = { ...child.config, [field]: normEps };
    expect((await errors(parent, { ...child, config }, map)).logits).toBeGreaterThan(1e-3);
  });

  test("Qwen3's epsilon belongs to its heads' norms too: queries and keys that aren't scaled with it show", async () => {
    const parent = roughModel(roughConfigs.qwen3, 1);
    const { child, map } = await expandModel(parent, { ...defaults, width: 42 }, createRng(1));
    expect((await errors(parent, child, map)).logits).toBeLessThanOrEqual(1e-4);
    for (const kind of ["q_proj", "k_proj"]) {
      const weights = new Map(child.weights);
      const key = `model.layers.1.self_attn.${kind}.weight`;
      const { shape, data } = weights.get(key)!;
      const unscaled = (data as Float32Array).map((value) => value / Math.sqrt(28 / 42));
      weights.set(key, { shape, data: unscaled });
      expect((await errors(parent, { ...child, weights }, map)).logits).toBeGreaterThan(2e-4);
    }
    const { notes } = parseGrowth({ width: 42 }, parent.config);
    expect(notes.join()).toContain("rms_norm_eps");
  });

  test("NeoX's q, k and v are copied head by head: fused rows in the order of a Conv1D are another model", async () => {
    const parent = roughModel(roughConfigs.neox, 1);
    const { child, map } = await expandModel(parent, { ...defaults, width: 40 }, createRng(1));
    const weights = new Map(child.weights);
    const key = "gpt_neox.layers.0.attention.query_key_value.weight";
    const { shape, data } = weights.get(key)!;
    const [heads, headDim, d] = [4, 10, 40];
    const turned = new Float32Array(data.length);
    for (let row = 0; row < 3 * heads * headDim; row++) {
      const [part, head, i] = [
        Math.floor(row / (heads * headDim)),
        Math.floor(row / headDim) % heads,
        row % headDim,
      ];
      const from = ((head * 3 + part) * headDim + i) * d;
      turned.set((data as Float32Array).subarray(from, from + d), row * d);
    }
    weights.set(key, { shape, data: turned });
    expect((await errors(parent, { ...child, weights }, map)).logits).toBeGreaterThan(1e-2);
  });

  test("queries keep their key head: blocks of queries repeated one by one are another model", async () => {
    const parent = roughModel(roughConfigs.llama, 1);
    const growth = { width: 56, heads: 8 };
    const { child, map } = await expandModel(parent, { ...defaults, ...growth }, createRng(1));
    expect(modelSizes(child.config)).toMatchObject({ nHead: 8, nKvHead: 4, headDim: 6 });
    expect([...map.heads[0].source]).toEqual([0, 1, 2, 3, 0, 1, 2, 3]);
    const weights = new Map(child.weights);
    for (const kind of ["k_proj", "v_proj"]) {
      const key = `model.layers.0.self_attn.${kind}.weight`;
      const { shape, data } = weights.get(key)!;
      const block = 6 * 56;
      const [a, b, c, d] = [0, 1, 2, 3].map((head) => data.slice(head * block, (head + 1) * block));
      const swapped = new Float32Array(data.length);
      [a, c, b, d].forEach((part, i) => {
        swapped.set(part as Float32Array, i * block);
      });
      weights.set(key, { shape, data: swapped });
    }
    expect((await errors(parent, { ...child, weights }, map)).logits).toBeGreaterThan(1e-2);
  });

  test("tied logits are not multiplied by the copies, untied ones never were", async () => {
    for (const name of ["neox tied, all of a head turns", "neox"]) {
      const config = roughConfigs[name];
      const parent = roughModel(config, 1);
      const { child } = await expandModel(parent, { ...defaults, width: 60 }, createRng(1));
      const gain = child.weights.get("gpt_neox.final_layer_norm.weight")!.data as Float32Array;
      const was = parent.weights.get("gpt_neox.final_layer_norm.weight")!.data as Float32Array;
      expect(gain[0] / was[0]).toBeCloseTo(modelSizes(config).tied ? 1 / 2 : 1, 6);
    }
  });
});

describe("what can't be is refused, with the nearest that can", () => {
  const problemOf = (config: ModelConfig, sizes: Parameters<typeof childConfig>[1]): UsageError => {
    try {
      childConfig(config, sizes);
    } catch (error) {
      if (error instanceof UsageError) return error;
      throw error;
    }
    throw new Error("it was accepted");
  };

  test("heads that split a group, and a width that transformers would not take", () => {
    expect(problemOf(roughConfigs.llama, { heads: 5 })).toMatchObject({
      code: "heads-not-grouped",
      hint: "The nearest valid numbers are 4 and 6; with --kv-heads groups get another size.",
    });
    expect(problemOf(roughConfigs.llama, { width: 31 })).toMatchObject({
      code: "width-not-divisible",
      hint: "The nearest valid widths are 28 and 32.",
    });
    expect(problemOf(roughConfigs.neox, { width: 31 })).toMatchObject({
      code: "width-not-divisible",
      hint: "The nearest valid widths are 30 and 40.",
    });
  });

  test("relative widths are rounded to what the family allows", () => {
    const width = (config: ModelConfig, factor: string): number =>
      modelSizes(childConfig(config, parseGrowth({ width: factor }, config).options)).dModel;
    expect(width(roughConfigs.neox, "1.4x")).toBe(40);
    expect(width(roughConfigs.llama, "1.5x")).toBe(44);
    expect(width(roughConfigs.mistral, "1.25x")).toBe(35);
    expect(width(roughConfigs.qwen3, "1.5x")).toBe(42);
    const bound = llamaConfig({
      vocab_size: 9,
      max_position_embeddings: 8,
      hidden_size: 32,
      num_hidden_layers: 1,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      intermediate_size: 50,
    });
    const { options, notes } = parseGrowth({ width: "1.4x" }, bound);
    expect(modelSizes(childConfig(bound, options))).toMatchObject({
      dModel: 48,
      nHead: 6,
      nKvHead: 3,
    });
    expect(notes).toContain("heads follow the width: 6 of 8");
  });
});

test.each(["neox", "llama"])(
  "%s: copies part in training, and the child leaves the image of E",
  async (name) => {
    const config = roughConfigs[name];
    const { child, map } = await expandModel(
      roughModel(config, name),
      { ...defaults, width: config.model_type === "llama" ? 64 : 70 },
      createRng(1),
    );
    const hook = "blocks.1.hook_resid_post";
    const spread = async (host: HostModel): Promise<[number, number]> => {
      const model = placeModel(host);
      const rows = activationsAt(model, ids, 4, hook);
      const found = [
        (await copySpread(map, "residual", rows)) as number,
        (await offImageEnergy(map, "residual", rows)) as number,
      ] as [number, number];
      tf.dispose(rows);
      model.dispose();
      return found;
    };
    for (const value of await spread(child)) expect(value).toBeLessThan(1e-10);
    const trainer = createLmTrainer(child, { ...lmTrainDefaults, steps: 30 });
    for (let step = 0; step < 30; step++) await trainer.step({ ids, context: 15 });
    for (const value of await spread(await trainer.model())) expect(value).toBeGreaterThan(1e-4);
    trainer.dispose();
  },
);

test("what is fresh in a child of another family is named by its blocks", async () => {
  const { map, child } = await expandModel(
    roughModel(roughConfigs.llama, 1),
    { ...defaults, layers: 3, positions: "top" },
    createRng(1),
  );
  expect(map.fresh).toContain("model.layers.2.self_attn.k_proj.weight");
  expect(map.fresh.every((name) => name.startsWith("model.layers.2."))).toBe(true);
  const zero = child.weights.get("model.layers.2.mlp.down_proj.weight")!.data;
  expect(zero.every((x) => x === 0)).toBe(true);
  const model = placeModel(child);
  const logits = tf.tidy(() => forwardLogits(model, ids, 4));
  expect(logits.shape).toEqual([4, 15, roughVocabulary]);
  logits.dispose();
  model.dispose();
});
