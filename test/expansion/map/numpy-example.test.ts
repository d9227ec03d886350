// The reader of docs/formats.md, run by Python as it is printed there, on maps of every kind.
import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { createRng, useBackend } from "../../../src/engine/index.ts";
import {
  type ExpandOptions,
  type ExpansionMap,
  expandModel,
  fitMaps,
  mapPoints,
  mapReadouts,
  pullBack,
  writeMap,
} from "../../../src/expansion/index.ts";
import { gpt2Config, hookWidth, placeModel } from "../../../src/models/index.ts";
import { testBackend } from "../../support/backend.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { randomModel } from "../../support/growth-f64.ts";
import { python } from "../../support/python.ts";

const at = temporaryFolder();
const config = gpt2Config({
  vocab_size: 19,
  n_positions: 8,
  n_embd: 6,
  n_head: 2,
  n_layer: 3,
  n_inner: 7,
  layer_norm_epsilon: 1e-3,
});
const base: ExpandOptions = {
  method: "lemon",
  depth_method: "identity",
  positions: "interleaved",
  noise_db: 0,
};

async function mapOf(growth: Partial<ExpandOptions>): Promise<ExpansionMap> {
  const parent = randomModel(config, 1);
  const { child, map } = await expandModel(parent, { ...base, ...growth }, createRng(1));
  const [small, big] = [placeModel(parent), placeModel(child)];
  const ids = Int32Array.from({ length: 60 * 8 }, (_, t) => (t * t * 7 + t) % 19);
  const text = { ids, nSeq: 60, context: 8 };
  const fitted = await fitMaps(small, big, map, { fit: text, heldOut: text });
  small.dispose();
  big.dispose();
  return fitted;
}

/** The documentation's Python, and what calls it with an activation and a readout of each hook. */
function script(): string {
  const page = readFileSync(new URL("../../../docs/formats.md", import.meta.url), "utf8");
  const [, code] = /```python\n([\s\S]*?)```/.exec(page) ?? [];
  return `${code}
import sys
answers = []
for folder, hook, h in json.loads(sys.argv[1]):
    to, E, e, R, r = open_map(folder)(hook, len(h))
    H = E @ h + e
    answers.append([to, H.tolist(), (R @ H + r).tolist(), (R.T @ h).tolist()])
print(json.dumps(answers))
`;
}

python.test("the reader in the documentation maps as this library does", async (run) => {
  await useBackend(testBackend);
  const maps = [
    await mapOf({ width: 15, mlp: 17, layers: 5 }), // indivisible: E, R, heads, neurons, inserted blocks
    await mapOf({ depth_method: "solar", layers: 4 }), // fitted maps
    await mapOf({ headDim: 5, heads: 3 }), // larger heads
  ];
  const asked: [folder: string, hook: string, h: number[]][] = [];
  const wanted: [to: string, H: Float64Array, back: Float64Array, readout: Float64Array][] = [];
  for (const [i, map] of maps.entries()) {
    writeMap(at(`map-${i}`), map);
    for (const { from, to, tensor } of map.hooks) {
      const rng = createRng(from);
      const h = Float64Array.from({ length: hookWidth(config, from) }, () => rng.normal());
      const H = mapPoints(map, tensor, h);
      asked.push([at(`map-${i}`), from, [...h]]);
      wanted.push([to[0], H, pullBack(map, tensor, H), mapReadouts(map, tensor, h)]);
    }
  }
  const answers = JSON.parse(await run(script(), [JSON.stringify(asked)])) as unknown[][];
  expect(answers).toHaveLength(3 * (3 * 8 + 2));
  for (const [i, [to, ...vectors]] of wanted.entries()) {
    expect(answers[i][0]).toBe(to);
    for (const [j, vector] of vectors.entries()) {
      expect(answers[i][j + 1] as number[], `${to} ${j}`).toBeAllclose(vector, {
        rtol: 1e-4,
        atol: 1e-5,
      });
    }
  }
});
