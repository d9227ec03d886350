// Weight drift: changes placed inside the inherited subspace, outside it, and everywhere, in three layouts of weights.
import { beforeAll, describe, expect, test } from "vitest";
import { createRng, type Rng, useBackend } from "../../../src/engine/index.ts";
import {
  type ExpandOptions,
  type ExpansionMap,
  expandModel,
  mapVectors,
  pullBack,
  weightDrift,
} from "../../../src/expansion/index.ts";
import { gpt2Config, type HostModel, initModel } from "../../../src/models/index.ts";
import { testBackend } from "../../support/backend.ts";
import { roughConfigs } from "../../support/rough-models.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const options: Partial<ExpandOptions> = {
  method: "lemon",
  depth_method: "identity",
  positions: "top",
  noise_db: null,
};
const gpt2 = gpt2Config({ vocab_size: 40, n_positions: 12, n_embd: 18, n_head: 3, n_layer: 2 });
const cases = [
  ["gpt2", gpt2, 24],
  ["neox", roughConfigs.neox, 40],
  [
    "llama",
    roughConfigs[Object.keys(roughConfigs).find((name) => name.startsWith("llama")) ?? ""],
    36,
  ],
] as const;

type Change = (vector: Float32Array, map: ExpansionMap, rng: Rng) => Float32Array;

const noise: Change = (vector, _, rng) => vector.map(() => 0.1 * rng.normal());
const inside: Change = (vector, map, rng) => projected(noise(vector, map, rng), map);
const outside: Change = (vector, map, rng) => {
  const all = noise(vector, map, rng);
  const within = projected(all, map);
  return all.map((value, i) => value - within[i]);
};

function projected(rows: Float32Array, map: ExpansionMap): Float32Array {
  return mapVectors(map, "residual", pullBack(map, "residual", rows));
}

/** The child with every vector of the stream's width changed. */
function changed(child: HostModel, map: ExpansionMap, change: Change): HostModel {
  const rng = createRng("changes");
  const D = map.child.d_model;
  const weights = new Map(child.weights);
  for (const [name, { shape, data }] of child.weights) {
    if (shape.length !== 2 || !(data instanceof Float32Array)) continue;
    const [rows, columns] = shape;
    const out = data.slice();
    if (rows === columns) continue; // which of its axes is the stream's can't be told from the shape
    const [count, at] =
      columns === D
        ? [rows, (v: number, i: number) => v * columns + i]
        : [columns, (v: number, i: number) => i * columns + v];
    if (rows !== D && columns !== D) continue;
    for (let v = 0; v < count; v++) {
      const by = change(new Float32Array(D), map, rng);
      for (let i = 0; i < D; i++) out[at(v, i)] += by[i];
    }
    weights.set(name, { shape, data: out });
  }
  return { ...child, weights };
}

describe.each(cases)("%s", (_, config, width) => {
  let child: HostModel;
  let map: ExpansionMap;
  beforeAll(async () => {
    const rng = createRng("drift");
    const parent = initModel(config, rng);
    const grown = await expandModel(parent, { ...options, width } as ExpandOptions, rng);
    ({ child, map } = grown);
  });

  test("a change within the image of E lies inside, one across it outside", () => {
    for (const [change, share] of [
      [inside, 1],
      [outside, 0],
    ] as const) {
      const { read, write } = weightDrift(child, changed(child, map, change), map);
      expect(read.inside_share).toBeCloseTo(share, 5);
      expect(write.inside_share).toBeCloseTo(share, 5);
      expect(read.relative).toBeGreaterThan(0);
    }
  });

  test("a change in random directions has the image's share of the dimensions inside", () => {
    const { read, write, dimension_share } = weightDrift(child, changed(child, map, noise), map);
    expect(dimension_share).toBeCloseTo(map.parent.d_model / width, 12);
    expect(read.inside_share).toBeCloseTo(dimension_share as number, 1);
    expect(write.inside_share).toBeCloseTo(dimension_share as number, 1);
  });

  test("nothing moved, nothing to share; ‖Δ‖/‖W‖ is what it is", () => {
    expect(weightDrift(child, child, map).read).toEqual({ relative: 0, inside_share: null });
    const twice: HostModel = {
      ...child,
      weights: new Map(
        [...child.weights].map(([name, { shape, data }]) => [
          name,
          { shape, data: (data as Float32Array).map((x) => 3 * x) },
        ]),
      ),
    };
    const { read, write, layers } = weightDrift(child, twice, map);
    expect(read.relative).toBeCloseTo(2, 5);
    expect(write.relative).toBeCloseTo(2, 5);
    expect(layers).toHaveLength(2);
    for (const { inserted, relative } of layers) {
      expect(inserted).toBe(false);
      expect(relative).toBeCloseTo(2, 5);
    }
  });
});

test("after growth in depth nothing is outside, and the inserted layers are told apart", async () => {
  const rng = createRng("depth");
  const grown = await expandModel(
    initModel(gpt2, rng),
    { ...options, layers: 3 } as ExpandOptions,
    rng,
  );
  const drift = weightDrift(grown.child, grown.child, grown.map);
  expect(drift.dimension_share).toBeNull();
  expect(drift.read.inside_share).toBeNull();
  expect(drift.layers.map(({ inserted }) => inserted)).toEqual([false, false, true]);
});
