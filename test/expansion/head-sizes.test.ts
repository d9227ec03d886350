// Sizes that grow by themselves: numbers a head, key heads, query heads inside their groups, tokens; and all at once.
// Gradients on both sides of what is new, the traps, and what can't be is refused; verification.test.ts has exactness.
import { beforeAll, describe, expect, test } from "vitest";
import { createRng, useBackend } from "../../src/engine/index.ts";
import {
  childConfig,
  type ExpandOptions,
  expandModel,
  measureExactness,
  planExpansion,
} from "../../src/expansion/index.ts";
import { inheritedEntries } from "../../src/expansion/plan/inherited-entries.ts";
import { UsageError } from "../../src/io/index.ts";
import {
  createLmTrainer,
  type HostModel,
  lmTrainDefaults,
  type ModelConfig,
  modelSizes,
  placeModel,
} from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { forwardF64 } from "../support/forward-f64.ts";
import { everyFamily, roughModel, roughVocabulary } from "../support/rough-models.ts";

const defaults: ExpandOptions = {
  method: "lemon",
  depth_method: "identity",
  positions: "interleaved",
  noise_db: 0,
};
const tokens = createRng("tokens");
const ids = Int32Array.from({ length: 15 }, () => tokens.int(roughVocabulary));

beforeAll(async () => {
  await useBackend(testBackend);
});

async function grown(parent: HostModel, growth: Partial<ExpandOptions>): Promise<HostModel> {
  return (await expandModel(parent, { ...defaults, noise_db: null, ...growth }, createRng(1)))
    .child;
}

describe("what is new in a head", () => {
  const step = async (family: string, growth: Partial<ExpandOptions>, steps: number) => {
    const child = await grown(roughModel(everyFamily[family], family), growth);
    const trainer = createLmTrainer(child, { ...lmTrainDefaults, steps: 20, weightDecay: 0 });
    for (let i = 0; i < steps; i++) await trainer.step({ ids, context: 15 });
    const trained = (await trainer.model()).weights;
    trainer.dispose();
    return { child: child.weights, trained };
  };
  const unchanged = (
    { child, trained }: Awaited<ReturnType<typeof step>>,
    name: string,
    rows: (row: number) => boolean,
  ): number => {
    const [rowCount, width] = child.get(name)!.shape;
    const [a, b] = [child, trained].map((weights) => weights.get(name)?.data as Float32Array);
    let still = 0;
    for (let row = 0; row < rowCount; row++) {
      if (!rows(row)) continue;
      const same = a
        .subarray(row * width, (row + 1) * width)
        .every((x, j) => x === b[row * width + j]);
      if (same) still++;
    }
    return still;
  };

  test("keys and values learn at once where they begin at 0, queries after the first step, also in new layers", async () => {
    const isNew = (row: number) => (row % 12) % 6 >= 3 || row % 2 === 1; // pair i of 3 is at 2i of 6
    const isNewValue = (row: number) => row % 12 >= 6;
    const growth = { headDim: 12, layers: 3, positions: [0] as const };
    const at = (layer: number, name: string) =>
      `model.layers.${layer}.self_attn.${name}_proj.weight`;
    const once = await step("llama", growth, 1);
    const keys = once.child.get(at(0, "k"))?.data as Float32Array;
    expect(keys.subarray(28, 2 * 28).every((x) => x === 0)).toBe(true);
    expect(unchanged(once, at(0, "k"), isNew)).toBe(0);
    expect(unchanged(once, at(0, "v"), isNewValue)).toBe(0);
    const thrice = await step("llama", growth, 3);
    for (const layer of [0, 1, 2]) {
      expect(unchanged(thrice, at(layer, "q"), isNew), `q ${layer}`).toBe(0);
      expect(unchanged(thrice, at(layer, "k"), isNew), `k ${layer}`).toBe(0);
      expect(unchanged(thrice, at(layer, "v"), isNewValue), `v ${layer}`).toBe(0);
      expect(
        unchanged(thrice, at(layer, "o"), () => true),
        `o ${layer}`,
      ).toBe(0);
    }
  });

  test("key heads that were copied part, since they serve other queries", async () => {
    const { child, trained } = await step("llama", { kvHeads: 4 }, 3);
    for (const kind of ["k", "v"]) {
      const name = `model.layers.1.self_attn.${kind}_proj.weight`;
      const heads = (weights: typeof child) => {
        const data = weights.get(name)?.data as Float32Array;
        return [data.subarray(0, 6 * 28), data.subarray(6 * 28, 12 * 28)];
      };
      const [a, b] = heads(child);
      expect(a).toEqual(b);
      const [c, d] = heads(trained);
      const apart = c.reduce((sum, x, i) => sum + (x - d[i]) ** 2, 0);
      const moved = c.reduce((sum, x, i) => sum + (x - a[i]) ** 2, 0);
      expect(apart / moved).toBeGreaterThan(0.1);
    }
  });

  test("where heads have norms, the gain of what was copied begins at 0 and learns at once", async () => {
    const once = await step("qwen3", { headDim: 20 }, 1);
    const name = "model.layers.1.self_attn.k_norm.weight";
    const [was, is] = [once.child, once.trained].map((w) => w.get(name)?.data as Float32Array);
    expect([...was].filter((x) => x === 0)).toHaveLength(10);
    expect(is.every((x) => x !== 0)).toBe(true);
  });
});

describe("the traps", () => {
  const family = "llama";
  const parent = roughModel(everyFamily[family], family);
  const broken = async (
    growth: Partial<ExpandOptions>,
    spoil: (child: HostModel) => HostModel,
  ): Promise<number> => {
    const { child, map } = await expandModel(parent, { ...defaults, ...growth }, createRng(1));
    const [small, big] = [placeModel(parent), placeModel(spoil(child))];
    const found = await measureExactness(small, big, map, ids, 1);
    small.dispose();
    big.dispose();
    return found.max_abs_dlogit;
  };

  test("pairs that stay where they were turn by other angles", async () => {
    const apart = await broken({ headDim: 12 }, (child) => {
      const weights = new Map(child.weights);
      for (const layer of [0, 1]) {
        for (const kind of ["q", "k"]) {
          const name = `model.layers.${layer}.self_attn.${kind}_proj.weight`;
          const { shape, data } = weights.get(name)!;
          const moved = new Float32Array(data.length);
          // number i of a half goes from 2i to i, the new ones behind
          for (let row = 0; row < shape[0]; row++) {
            const [half, i] = [Math.floor((row % 12) / 6), row % 6];
            const to =
              Math.floor(row / 12) * 12 + half * 6 + (i % 2 === 0 ? i / 2 : 3 + (i - 1) / 2);
            moved.set((data as Float32Array).subarray(row * 28, (row + 1) * 28), to * 28);
          }
          weights.set(name, { shape, data: moved });
        }
      }
      return { ...child, weights };
    });
    expect(apart).toBeGreaterThan(1e-3);
  });

  test("at sizes that are no multiple theta changes, and the old one shows", async () => {
    const config = childConfig(parent.config, { headDim: 8 });
    expect("rope" in config && config.rope.theta).toBeCloseTo(500 ** (8 / 6), 9);
    const apart = await broken({ headDim: 8 }, (child) => ({
      ...child,
      config: { ...child.config, rope: { theta: 500, share: 1, scaling: null } } as ModelConfig,
    }));
    expect(apart).toBeGreaterThan(1e-3);
  });

  test("GPT-NeoX turns as many numbers as before, through whatever share gives that number", () => {
    const config = everyFamily.neox; // 10 numbers a head, .4 of them turn
    for (let headDim = 10; headDim <= 200; headDim++) {
      const child = childConfig(config, { headDim, mlp: 50 });
      expect("rope" in child && Math.floor(headDim * child.rope.share), `${headDim}`).toBe(4);
    }
  });
});

test("key heads that split stay with their queries, larger groups take turns", () => {
  const { map } = planExpansion(
    everyFamily.mistral,
    { ...defaults, heads: 4, kvHeads: 4 },
    createRng(1),
  );
  expect([...map.heads[0].source]).toEqual([0, 1, 2, 3]);
  expect(map.child).toMatchObject({ n_head: 4 });
  expect(map.child).not.toHaveProperty("n_kv_head");
  expect(map.parent).toMatchObject({ n_kv_head: 2 });
  const larger = planExpansion(
    everyFamily.mistral,
    { ...defaults, heads: 6, kvHeads: 2 },
    createRng(1),
  ).map;
  expect([...larger.heads[0].source]).toEqual([0, 1, 0, 2, 3, 2]);
  expect(larger.child).toMatchObject({ n_head: 6, n_kv_head: 2 });
});

test("new tokens get the mean of the old logits but for small draws, so the old ones lose little", async () => {
  for (const family of ["gpt2", "neox", "llama"]) {
    const parent = roughModel(everyFamily[family], family);
    const child = await grown(parent, { vocab: 71 });
    const { logits } = forwardF64(child, ids);
    for (let t = 0; t < ids.length; t++) {
      const row = logits.subarray(t * 71, (t + 1) * 71);
      const old = row.subarray(0, 61);
      const mean = old.reduce((sum, x) => sum + x / 61, 0);
      const deviation = Math.sqrt(old.reduce((sum, x) => sum + (x - mean) ** 2 / 61, 0));
      const fresh = [...row.subarray(61)];
      expect(new Set(fresh).size).toBe(10);
      for (const logit of fresh) expect(Math.abs(logit - mean)).toBeLessThan(0.1 * deviation);
      const mass = (values: Iterable<number>) =>
        [...values].reduce((sum, x) => sum + Math.exp(x), 0);
      expect(mass(fresh) / (mass(fresh) + mass(old))).toBeLessThan(10 / 71 + 0.01);
    }
  }
});

test("under a freeze of what is inherited new tokens train, and so do new numbers of a head", () => {
  const parent = everyFamily.neox;
  const { growth } = planExpansion(parent, { ...defaults, headDim: 12, vocab: 63 }, createRng(1));
  const frozen = inheritedEntries(growth);
  const rows = (name: string): number[] => {
    const mask = frozen.get(name) as Uint8Array;
    const width = modelSizes(growth.plan.config).dModel;
    return Array.from({ length: mask.length / width }, (_, row) => mask[row * width]);
  };
  for (const table of ["gpt_neox.embed_in.weight", "embed_out.weight"]) {
    expect(rows(table)).toEqual([...Array(61).fill(1), 0, 0]);
  }
  const keys = rows("gpt_neox.layers.0.attention.query_key_value.weight").slice(12, 24);
  expect(keys).toEqual([...Array(10).fill(1), 0, 0]);
});

describe("what can't be is refused, with the nearest that can", () => {
  const problems: readonly [string, Parameters<typeof childConfig>[1], object][] = [
    ["llama", { headDim: 9 }, { code: "head-dim", hint: "The nearest valid sizes are 8 and 10." }],
    [
      "qwen3",
      { headDim: 24 },
      { code: "head-dim", hint: "The nearest valid sizes are 20 and 30." },
    ],
    ["llama", { headDim: 4 }, { code: "child-too-small", where: "--head-dim" }],
    ["llama", { vocab: 60 }, { code: "child-too-small", where: "--vocab" }],
    ["llama", { kvHeads: 1 }, { code: "child-too-small", where: "--kv-heads" }],
    ["llama", { kvHeads: 3 }, { code: "kv-heads", hint: "The nearest valid: 2 and 4." }],
    ["gpt2", { kvHeads: 1 }, { code: "kv-heads", where: "--kv-heads" }],
    [
      "gpt2",
      { headDim: 15, width: 30 },
      { code: "width-not-divisible", hint: "The nearest valid widths are 45 and 60." },
    ],
    [
      "neox",
      { headDim: 12, width: 40 },
      { code: "width-not-divisible", hint: "The nearest valid widths are 36 and 48." },
    ],
    ["gpt2", { headDim: 12, width: 48, heads: 3 }, { code: "heads-width-mismatch" }],
    ["mistral", { vocab: 61, headDim: 6, kvHeads: 2 }, { code: "nothing-to-grow" }],
  ];

  test.each(problems)("%s to %o", (family, sizes, expected) => {
    let problem: unknown;
    try {
      childConfig(everyFamily[family], sizes);
    } catch (error) {
      problem = error;
    }
    expect(problem).toBeInstanceOf(UsageError);
    expect(problem).toMatchObject(expected);
  });

  test("six queries in two groups of three have no room in three groups of two", () => {
    const config = { ...everyFamily.mistral, num_attention_heads: 6 } as ModelConfig;
    expect(() => childConfig(config, { kvHeads: 3 })).toThrow(/room for the parent's queries, 3/);
    expect(modelSizes(childConfig(config, { kvHeads: 6 }))).toMatchObject({ nHead: 6, nKvHead: 6 });
  });
});
