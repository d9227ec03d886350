import { expect, test } from "vitest";
import { mapNode } from "../../circuits/map-circuit.ts";
import { createRng } from "../../src/engine/index.ts";
import { planExpansion } from "../../src/expansion/index.ts";
import { gpt2Config } from "../../src/models/index.ts";

const config = gpt2Config({ vocab_size: 9, n_positions: 4, n_embd: 6, n_head: 2, n_layer: 2 });

test("through a stack that also widens, a head goes to its copies in each copy of its layer", () => {
  const { map } = planExpansion(
    config,
    {
      method: "lemon",
      depth_method: "stack",
      positions: "interleaved",
      noise_db: null,
      width: 9,
      layers: 5,
    },
    createRng(1),
  );
  const places = (node: Parameters<typeof mapNode>[0]) =>
    mapNode(node, map, 1).map(({ layer, index }) => [layer, index]);
  // layers 0 1 0 1 0; heads 0 1 0
  expect(places({ type: "head", layer: 0, index: 0 })).toEqual([
    [0, 0],
    [0, 2],
    [2, 0],
    [2, 2],
    [4, 0],
    [4, 2],
  ]);
  expect(places({ type: "head", layer: 1, index: 1 })).toEqual([
    [1, 1],
    [3, 1],
  ]);
  expect(places({ type: "mlp", layer: 1, index: 0 })).toEqual([
    [1, 0],
    [3, 0],
  ]);
  expect(places({ type: "latent", layer: 1, index: 7 })).toEqual([[1, 7]]);
});
