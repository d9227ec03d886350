import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRng } from "../../../src/engine/index.ts";
import {
  type ExpandOptions,
  type ExpansionMap,
  mapVectors,
  planExpansion,
} from "../../../src/expansion/index.ts";
import { averageExpansion } from "../../../src/expansion/width/lemon.ts";
import { gpt2Config, type HostModel } from "../../../src/models/index.ts";
import { type F64Run, runF64 } from "../../support/gpt2-f64.ts";
import { executePlanF64, randomModel } from "../../support/growth-f64.ts";
import { naivePinv } from "../../support/linear-f64.ts";

describe("the residual map of LEMON", () => {
  it("is copies, then rows of the mean: 2 → 5 by hand", () => {
    const { E, R } = averageExpansion(2, 5);
    expect(E).toBeAllclose([1, 0, 0, 1, 1, 0, 0, 1, 0.5, 0.5], { atol: 0, rtol: 0 });
    // EᵀE = [9/4, 1/4; 1/4, 9/4], its inverse [9, −1; −1, 9] / 20
    const want = [9, -1, 9, -1, 4, -1, 9, -1, 9, 4].map((value) => value / 20);
    expect(R).toBeAllclose(want, { atol: 1e-15 });
  });

  it("has the Moore–Penrose inverse in closed form", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 0, max: 20 }), (d, more) => {
        const D = d + more;
        const average = averageExpansion(d, D);
        expect(average.R).toBeAllclose(naivePinv(average.E, D, d), { atol: 1e-12 });
      }),
    );
  });
});

describe("expansion in f64", () => {
  it("keeps logits and every hook, at any size", () => {
    fc.assert(
      fc.property(growths, ({ config, options, seed }) => {
        const parent = randomModel(config, seed);
        const { growth, map } = planExpansion(config, options, createRng(seed));
        const child = executePlanF64(growth.plan, parent, createRng(seed));
        const ids = Array.from({ length: 6 }, (_, t) => (t * t + seed) % config.vocab_size);
        const small = runF64(parent, ids);
        const big = runF64(child, ids);
        expect(big.logits).toBeAllclose(small.logits, { rtol: 0, atol: 1e-10 });
        expectMappedHooks(map, small, big);
      }),
      { numRuns: 60 },
    );
  });

  it("widens 64 → 96 with an epsilon of two thirds and 32 free coordinates", () => {
    const config = sizes(64, 4, 1, 256);
    const { growth, map } = planExpansion(config, { ...base, width: 96 }, createRng(0));
    expect(growth.plan.config).toMatchObject({ n_embd: 96, n_head: 6, n_inner: 384 });
    expect(growth.plan.config.layer_norm_epsilon).toBeCloseTo((config.layer_norm_epsilon * 2) / 3);
    expect(map.linear.get("residual")?.E.slice(64 * 64, 65 * 64)).toEqual(
      new Float64Array(64).fill(1 / 64),
    );
  });
});

describe("the traps of exactness", () => {
  const config = sizes(6, 2, 2, 10);
  const options = { ...base, width: 15, layers: 3, mlp: 13 };
  const parent = randomModel(config, 5);
  const { growth } = planExpansion(config, options, createRng(5));
  const exact = executePlanF64(growth.plan, parent, createRng(5));
  const ids = [1, 4, 2, 0, 3];
  const want = runF64(parent, ids).logits;
  const worst = (child: HostModel): number => {
    const got = runF64(child, ids).logits;
    return got.reduce((max, value, i) => Math.max(max, Math.abs(value - want[i])), 0);
  };
  const changed = (name: string, factor: (i: number) => number): HostModel => {
    const weights = new Map(exact.weights);
    const { shape, data } = weights.get(name)!;
    weights.set(name, {
      shape,
      data: (data as Float64Array).map((value, i) => value * factor(i)),
    });
    return { config: exact.config, weights };
  };

  it("starts from a child that is exact", () => {
    expect(worst(exact)).toBeLessThan(1e-10);
  });

  it("shows an epsilon that is not rescaled", () => {
    const config = { ...exact.config, layer_norm_epsilon: parent.config.layer_norm_epsilon };
    expect(worst({ ...exact, config })).toBeGreaterThan(1e-4);
  });

  it("shows tied logits multiplied by the number of copies, which argmax does not", () => {
    const gain = changed("transformer.ln_f.weight", () => 2);
    const bias = changed("transformer.ln_f.bias", () => 2).weights.get("transformer.ln_f.bias")!;
    const weights = new Map(gain.weights).set("transformer.ln_f.bias", bias);
    const doubled = { config: exact.config, weights };
    const got = runF64(doubled, ids).logits;
    expect(got).toBeAllclose(
      want.map((value) => 2 * value),
      { atol: 1e-10 },
    );
  });

  it("divides the final bias by the copies as well as the gain", () => {
    expect(worst(changed("transformer.ln_f.bias", () => 2))).toBeGreaterThan(1e-3);
  });

  it("zeroes the output biases of inserted blocks and not only their matrices", () => {
    for (const name of ["attn.c_proj", "mlp.c_proj"]) {
      const bias = exact.weights.get(`transformer.h.2.${name}.bias`)!;
      const matrix = exact.weights.get(`transformer.h.2.${name}.weight`)!;
      expect((bias.data as Float64Array).every((value) => value === 0)).toBe(true);
      expect((matrix.data as Float64Array).every((value) => value === 0)).toBe(true);
    }
    expect(growth.fresh).toContain("transformer.h.2.attn.c_proj.bias");
    expect(growth.fresh.every((name) => name.startsWith("transformer.h.2."))).toBe(true);
  });

  it("copies heads within q, k and v of the fused projection, not across them", () => {
    // 2 heads of 3 become 5: child head 4 copies head 0 in each third of the bias
    const bias = exact.weights.get("transformer.h.0.attn.c_attn.bias")!.data as Float64Array;
    const old = parent.weights.get("transformer.h.0.attn.c_attn.bias")!.data as Float32Array;
    for (const part of [0, 1, 2]) {
      expect(bias.slice(part * 15 + 12, part * 15 + 15)).toBeAllclose(
        old.slice(part * 6, part * 6 + 3),
      );
    }
  });

  it("reads Conv1D weights by input and output: what is square would take either", () => {
    const name = "transformer.h.0.attn.c_proj.weight"; // [6, 6] becomes [15, 15]
    const { growth, map } = planExpansion(config, { ...options, noise_db: null }, createRng(5));
    const child = executePlanF64(growth.plan, parent, createRng(5));
    const got = child.weights.get(name)!.data as Float64Array;
    const old = parent.weights.get(name)!.data as Float32Array;
    const { source, alpha } = map.heads[0]; // heads of 3: rows, with their shares
    got.forEach((value, i) => {
      const [row, column] = [Math.floor(i / 15), i % 15]; // column: 2 copies of 6 and 3 means
      const head = Math.floor(row / 3);
      const from = (source[head] * 3 + (row % 3)) * 6;
      const mean = old.subarray(from, from + 6).reduce((sum, x) => sum + x / 6, 0);
      const want = alpha[head] * (column < 12 ? old[from + (column % 6)] : mean);
      expect(value, `${row}, ${column}`).toBeCloseTo(want, 6);
    });
    const turned = exact.weights.get(name)!.data as Float64Array;
    const asOutputs = changed(name, () => 1).weights as Map<
      string,
      { shape: number[]; data: Float64Array }
    >;
    asOutputs.set(name, {
      shape: [15, 15],
      data: turned.map((_, i) => turned[(i % 15) * 15 + Math.floor(i / 15)]),
    });
    expect(worst({ config: exact.config, weights: asOutputs })).toBeGreaterThan(1e-2);
  });

  it("leaves no free gain at zero and no free read column at zero", () => {
    const gain = exact.weights.get("transformer.h.0.ln_1.weight")!.data as Float64Array;
    expect(gain.slice(12).every((value) => value > 0.5)).toBe(true);
    const read = exact.weights.get("transformer.h.0.mlp.c_fc.weight")!.data as Float64Array;
    const free = read.slice(12 * 13);
    const rms = Math.sqrt(free.reduce((sum, value) => sum + value ** 2, 0) / free.length);
    expect(rms).toBeGreaterThan(0.15);
    expect(rms).toBeLessThan(0.45); // the parent's weights have 0.3
  });
});

const base: ExpandOptions = {
  method: "lemon",
  depth_method: "identity",
  positions: "interleaved",
  noise_db: 10,
};

function sizes(width: number, heads: number, layers: number, mlp: number) {
  return gpt2Config({
    vocab_size: 11,
    n_positions: 8,
    n_embd: width,
    n_head: heads,
    n_layer: layers,
    n_inner: mlp,
    layer_norm_epsilon: 1e-2,
  });
}

const growths = fc
  .record({
    headDim: fc.integer({ min: 1, max: 5 }),
    heads: fc.integer({ min: 1, max: 4 }),
    layers: fc.integer({ min: 1, max: 3 }),
    mlp: fc.integer({ min: 1, max: 9 }),
    moreHeads: fc.integer({ min: 0, max: 9 }),
    moreLayers: fc.integer({ min: 0, max: 4 }),
    moreMlp: fc.integer({ min: 1, max: 17 }),
    place: fc.constantFrom("interleaved", "top", "bottom", "list"),
    noise: fc.constantFrom(null, 10, 0),
    seed: fc.integer({ min: 0, max: 1e6 }),
  })
  .filter(({ headDim, heads }) => headDim * heads > 1) // a LayerNorm of one coordinate is constant
  .map(({ headDim, heads, layers, mlp, moreHeads, moreLayers, moreMlp, place, noise, seed }) => {
    const list = Array.from({ length: moreLayers }, (_, i) => ((seed + 7 * i) % (layers + 1)) - 1);
    const options: ExpandOptions = {
      ...base,
      width: (heads + moreHeads) * headDim,
      layers: layers + moreLayers,
      mlp: mlp + moreMlp,
      positions: place === "list" ? list : place,
      noise_db: noise,
    };
    return { config: sizes(headDim * heads, heads, layers, mlp), options, seed };
  });

function expectMappedHooks(map: ExpansionMap, small: F64Run, big: F64Run): void {
  for (const { from, to, tensor } of map.hooks) {
    const want = mapVectors(map, tensor, small.hooks.get(from)!);
    for (const hook of to) {
      expect(big.hooks.get(hook), `${from} at ${hook}`).toBeAllclose(want, {
        rtol: 0,
        atol: 1e-10,
      });
    }
  }
}
