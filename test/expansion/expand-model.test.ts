import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { createRng, useBackend } from "../../src/engine/index.ts";
import {
  type ExpandOptions,
  executePlan,
  expandModel,
  measureExactness,
  planExpansion,
} from "../../src/expansion/index.ts";
import { type Gpt2Sizes, gpt2Config, placeModel } from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { executePlanF64, randomModel } from "../support/growth-f64.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const options: ExpandOptions = {
  method: "lemon",
  depth_method: "identity",
  positions: "interleaved",
  noise_db: 10,
};

const small: Gpt2Sizes = {
  vocab_size: 23,
  n_positions: 16,
  n_embd: 15,
  n_head: 3,
  n_layer: 2,
  n_inner: 21,
  layer_norm_epsilon: 1e-2,
};

describe("expandModel", () => {
  it("runs a plan row by row to what its definition gives entry by entry in f64", async () => {
    const sizes = fc.record({
      heads: fc.integer({ min: 1, max: 3 }),
      headDim: fc.integer({ min: 2, max: 5 }),
      moreHeads: fc.integer({ min: 0, max: 5 }),
      moreMlp: fc.integer({ min: 1, max: 20 }),
      seed: fc.nat(1000),
    });
    await fc.assert(
      fc.asyncProperty(sizes, async ({ heads, headDim, moreHeads, moreMlp, seed }) => {
        const config = gpt2Config({ ...small, n_embd: heads * headDim, n_head: heads });
        const parent = randomModel(config, seed);
        const wanted = {
          ...options,
          width: (heads + moreHeads) * headDim,
          mlp: config.n_inner + moreMlp,
          layers: 3,
        };
        const { growth } = planExpansion(config, wanted, createRng(seed));
        const got = await executePlan(growth.plan, parent, createRng(seed));
        const want = executePlanF64(growth.plan, parent, createRng(seed));
        expect([...got.weights.keys()]).toEqual([...want.weights.keys()]);
        for (const [name, { shape, data }] of want.weights) {
          expect(got.weights.get(name)?.shape).toEqual(shape);
          expect(got.weights.get(name)?.data as Float32Array, name).toBeAllclose(
            data as Float64Array,
            { rtol: 1e-6, atol: 1e-6 },
          );
        }
      }),
      { numRuns: 15 },
    );
  });

  it.each([
    { width: 25, mlp: 34 },
    { width: 45, layers: 5 },
    { layers: 4, positions: [-1, 0] },
    { width: 35, heads: 7, layers: 3, positions: "top" as const },
    { mlp: 22, noise_db: null },
  ])("is exact in f32 for %o", async (growth) => {
    const parent = randomModel(gpt2Config(small), "f32");
    const { child, map } = await expandModel(parent, { ...options, ...growth }, createRng(3));
    const [a, b] = [placeModel(parent), placeModel(child)];
    const ids = Int32Array.from({ length: 4 * 16 }, (_, i) => (i * i) % 23);
    const exactness = await measureExactness(a, b, map, ids, 4);
    a.dispose();
    b.dispose();
    expect(exactness.max_abs_dlogit).toBeLessThanOrEqual(1e-4);
    expect(exactness.kl).toBeLessThanOrEqual(1e-8);
    expect(exactness.tokens).toBe(64);
    expect(exactness.boundaries.length).toBeGreaterThanOrEqual(6);
    for (const { rel_err, hook_from } of exactness.boundaries) {
      expect(rel_err, hook_from).toBeLessThanOrEqual(1e-5);
    }
  });

  it("measures a child that is not exact as what it is", async () => {
    const parent = randomModel(gpt2Config(small), "f32");
    const { child, map } = await expandModel(parent, { ...options, width: 25 }, createRng(3));
    const wrong = { ...child.config, layer_norm_epsilon: parent.config.layer_norm_epsilon };
    const [a, b] = [placeModel(parent), placeModel({ ...child, config: wrong })];
    const ids = Int32Array.from({ length: 32 }, (_, i) => i % 23);
    const exactness = await measureExactness(a, b, map, ids, 2);
    a.dispose();
    b.dispose();
    expect(exactness.max_abs_dlogit).toBeGreaterThan(1e-4);
    expect(exactness.kl).toBeGreaterThan(0);
    expect(Math.max(...exactness.boundaries.map(({ rel_err }) => rel_err))).toBeGreaterThan(1e-5);
  });

  it("gives the same bytes for the same seed and other noise for another", async () => {
    const parent = randomModel(gpt2Config(small), "seed");
    const grow = async (seed: number) => {
      const { child } = await expandModel(parent, { ...options, width: 30 }, createRng(seed));
      return child.weights.get("transformer.h.0.mlp.c_fc.weight")?.data;
    };
    expect(await grow(1)).toEqual(await grow(1));
    expect(await grow(1)).not.toEqual(await grow(2));
  });
});

describe("the expansion map", () => {
  const plan = (growth: Partial<ExpandOptions>) =>
    planExpansion(gpt2Config(small), { ...options, ...growth }, createRng(1)).map;

  it("sends a boundary before an identity block to the later and the earlier of two", () => {
    const map = plan({ layers: 4, positions: [0, 0] });
    const to = (from: string) => map.hooks.find((hook) => hook.from === from)?.to;
    expect(to("blocks.0.hook_resid_post")).toEqual([
      "blocks.2.hook_resid_post",
      "blocks.0.hook_resid_post",
      "blocks.1.hook_resid_post",
    ]);
    expect(to("blocks.1.hook_resid_pre")).toEqual([
      "blocks.3.hook_resid_pre",
      "blocks.1.hook_resid_pre",
      "blocks.2.hook_resid_pre",
    ]);
    expect(to("blocks.1.hook_resid_mid")).toEqual(["blocks.3.hook_resid_mid"]);
    expect(to("blocks.0.hook_resid_pre")).toEqual(["blocks.0.hook_resid_pre"]);
    expect(map.layers).toEqual([[0], [3]]);
    expect(map.method).toBe("identity");
    expect(map.hooks.every(({ tensor }) => tensor === "identity")).toBe(true);
  });

  it("names a linear map for every hook of a widened model", () => {
    const map = plan({ width: 25, layers: 3, positions: "bottom" });
    const tensors = Object.fromEntries(map.hooks.map(({ from, tensor }) => [from, tensor]));
    expect(tensors.hook_embed).toBe("residual");
    expect(tensors["blocks.1.hook_attn_out"]).toBe("residual");
    expect(tensors["blocks.1.attn.hook_z"]).toBe("head_map:2");
    expect(tensors["blocks.0.mlp.hook_post"]).toBe("neuron_map:1");
    expect(tensors["ln_final.hook_normalized"]).toBe("final");
    expect(map.method).toBe("lemon+identity");
  });

  it("maps heads and neurons circularly, with shares that sum to exactly 1", () => {
    const map = plan({ width: 40, mlp: 64 });
    expect([...map.heads[0].source]).toEqual([0, 1, 2, 0, 1, 2, 0, 1]);
    for (const units of [...map.heads, ...map.neurons]) {
      const total = new Map<number, number>();
      units.source.forEach((from, j) => {
        expect(units.alpha[j]).toBeGreaterThan(0);
        total.set(from, (total.get(from) ?? 0) + Math.fround(units.alpha[j]));
      });
      expect([...total.values()].every((sum) => sum === 1)).toBe(true);
    }
    const [first, second] = [map.heads[0].alpha[0], map.heads[0].alpha[3]];
    expect(Math.abs(first - second)).toBeGreaterThan(1e-3); // uneven
  });

  it("has no parent for the units of an inserted block", () => {
    const map = plan({ layers: 3, positions: [0] });
    expect([...map.heads[1].source]).toEqual([-1, -1, -1]);
    expect([...map.heads[1].alpha]).toEqual([0, 0, 0]);
    expect([...map.heads[2].source]).toEqual([0, 1, 2]);
  });
});
