import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRng } from "../../../src/engine/index.ts";
import {
  type ExpandOptions,
  executePlan,
  expandModel,
  planExpansion,
} from "../../../src/expansion/index.ts";
import { bert2bertFpi, sampledIndices } from "../../../src/expansion/width/bert2bert.ts";
import { gpt2Config } from "../../../src/models/index.ts";
import { executePlanF64, randomModel } from "../../support/growth-f64.ts";
import { everyFamily, roughModel } from "../../support/rough-models.ts";

describe("bert2BERT's FPI", () => {
  it("begins with the parent's units and samples the rest, each round all of them", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 0, max: 30 }),
        fc.nat(1000),
        (n, more, seed) => {
          const indices = sampledIndices(n, n + more, createRng(seed));
          expect([...indices.subarray(0, n)]).toEqual([...Array(n).keys()]);
          for (let round = 0; (round + 1) * n <= indices.length; round++) {
            const drawn = [...indices.subarray(round * n, (round + 1) * n)].sort((a, b) => a - b);
            expect(drawn).toEqual([...Array(n).keys()]);
          }
        },
      ),
    );
    const draws = [1, 2, 3].map((seed) => sampledIndices(8, 12, createRng(seed)).join());
    expect(new Set(draws).size).toBe(3);
  });

  it("divides what reads a copied coordinate by its copies: 2 → 3 by hand", () => {
    const stream = bert2bertFpi.stream(2, 3, { norm: "layer", tied: false }, createRng(3));
    const twice = stream.write.source[2];
    const half = [0, 1, twice].map((from) => (from === twice ? 0.5 : 1));
    expect([...(stream.read.weight ?? [])]).toEqual(half);
    const R = twice === 0 ? [0.5, 0, 0.5, 0, 1, 0] : [1, 0, 0, 0, 0.5, 0.5];
    expect([...(stream.residual?.R ?? [])]).toEqual(R);
  });
});

describe("bert2BERT's AKI", () => {
  const options: ExpandOptions = {
    method: "bert2bert-aki",
    depth_method: "identity",
    positions: "interleaved",
    noise_db: null,
  };
  const config = gpt2Config({
    vocab_size: 11,
    n_positions: 8,
    n_embd: 2,
    n_head: 1,
    n_layer: 2,
    n_inner: 2,
  });

  it("takes new outputs of a layer from the next and leaves the last to FPI: 2 → 4 by hand", async () => {
    const parent = randomModel(config, 1);
    const { child, map } = await expandModel(
      parent,
      { ...options, width: 4, mlp: 3 },
      createRng(2),
    );
    expect(map).toMatchObject({ exact: false, method: "bert2bert-aki" });
    const old = (layer: number, name: string) =>
      parent.weights.get(`transformer.h.${layer}.${name}`)?.data as Float32Array;
    const grown = (layer: number, name: string) =>
      child.weights.get(`transformer.h.${layer}.${name}`)?.data as Float32Array;
    // [2, 2] by input and output → [4, 3]: coordinates 2 and 3 are a permutation of 0 and 1
    const write = [...(map.linear.get("residual")?.E ?? [])];
    const stream = [0, 1, 2, 3].map((row) => (write[2 * row] === 1 ? 0 : 1));
    for (const [layer, donor] of [
      [0, 1],
      [1, 1],
    ]) {
      const third = map.neurons[layer].source[2];
      const [own, next] = [old(layer, "mlp.c_fc.weight"), old(donor, "mlp.c_fc.weight")];
      const want = stream.flatMap((from) => [
        own[2 * from] / 2,
        own[2 * from + 1] / 2,
        next[2 * from + third] / 2,
      ]);
      expect(grown(layer, "mlp.c_fc.weight")).toBeAllclose(want, { rtol: 1e-7 });
      const bias = [...old(layer, "mlp.c_fc.bias"), old(donor, "mlp.c_fc.bias")[third]];
      expect(grown(layer, "mlp.c_fc.bias")).toBeAllclose(bias, { rtol: 1e-7 });
      // [2, 2] by neuron and coordinate → [3, 4]
      const share = map.neurons[layer].alpha;
      const [out, nextOut] = [old(layer, "mlp.c_proj.weight"), old(donor, "mlp.c_proj.weight")];
      const written = [0, 1, third].flatMap((from, neuron) =>
        stream.map((to, i) => share[neuron] * (i < 2 ? out : nextOut)[2 * from + to]),
      );
      expect(grown(layer, "mlp.c_proj.weight")).toBeAllclose(written, { rtol: 1e-7 });
    }
    // norms and embeddings are copied
    const gain = old(0, "ln_1.weight");
    expect([...grown(0, "ln_1.weight")]).toEqual(stream.map((from) => gain[from]));
  });

  it("does so within q, k and v of a fused projection", async () => {
    const parent = randomModel(config, 1);
    const { child } = await expandModel(parent, { ...options, width: 4 }, createRng(2));
    const bias = child.weights.get("transformer.h.0.attn.c_attn.bias")?.data as Float32Array;
    const [own, next] = [0, 1].map(
      (layer) =>
        parent.weights.get(`transformer.h.${layer}.attn.c_attn.bias`)?.data as Float32Array,
    );
    const want = [0, 1, 2].flatMap((part) => [
      ...own.subarray(2 * part, 2 * part + 2),
      ...next.subarray(2 * part, 2 * part + 2),
    ]);
    expect([...bias]).toEqual(want);
  });

  it.each(["gpt2", "neox", "qwen3"])(
    "runs row by row to what its definition gives entry by entry in f64: %s",
    async (family) => {
      const parent = roughModel(everyFamily[family], 1);
      const width = family === "qwen3" ? 35 : 50;
      const { growth } = planExpansion(
        parent.config,
        { ...options, noise_db: 0, width, mlp: 60, layers: 3 },
        createRng(1),
      );
      const got = await executePlan(growth.plan, parent, createRng(1));
      const want = executePlanF64(growth.plan, parent, createRng(1));
      for (const [name, { data }] of want.weights) {
        expect(got.weights.get(name)?.data as Float32Array, name).toBeAllclose(
          data as Float64Array,
          { rtol: 1e-6, atol: 1e-6 },
        );
      }
    },
  );
});
