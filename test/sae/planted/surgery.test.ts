import { beforeAll, expect, test } from "vitest";
import { randomDirection } from "../../../sae/planted/random-directions.ts";
import { injectDirection, removeDirection, silenceHeads } from "../../../sae/planted/surgery.ts";
import { createRng, useBackend } from "../../../src/engine/index.ts";
import {
  activationsAt,
  type Gpt2Config,
  gpt2Config,
  type HostModel,
  initGpt2,
  placeModel,
} from "../../../src/models/index.ts";
import { testBackend } from "../../support/backend.ts";

const d = 12;
const sizes = { vocab_size: 9, n_positions: 6, n_embd: d, n_layer: 2, n_head: 3 };
const ids = Int32Array.of(0, 3, 5, 1, 8, 3);
let model: HostModel<Gpt2Config>;
const direction = randomDirection(d, createRng("direction"));

beforeAll(async () => {
  await useBackend(testBackend);
  const drawn = initGpt2(gpt2Config(sizes), createRng(0));
  const rng = createRng("biases");
  const weights = new Map(
    [...drawn.weights].map(([name, { shape, data }]) => [
      name,
      { shape, data: (data as Float32Array).map((x) => x + 0.1 * rng.normal()) },
    ]),
  );
  model = { ...drawn, weights };
});

function rowsAt(of: HostModel<Gpt2Config>, hook: string): Float32Array {
  const placed = placeModel(of);
  const rows = activationsAt(placed, ids, 1, hook);
  const values = rows.dataSync().slice() as Float32Array;
  rows.dispose();
  placed.dispose();
  return values;
}

function along(rows: Float32Array): number[] {
  return Array.from({ length: rows.length / d }, (_, t) =>
    direction.reduce((sum, x, a) => sum + x * rows[t * d + a], 0),
  );
}

test("what is removed is written nowhere, and the rest of the embedding is as it was", () => {
  const without = removeDirection(model, direction);
  for (const hook of ["blocks.0.hook_resid_post", "blocks.1.hook_resid_post"]) {
    expect(Math.max(...along(rowsAt(model, hook)).map(Math.abs))).toBeGreaterThan(0.05);
    expect(along(rowsAt(without, hook))).toBeAllclose(new Float32Array(ids.length), { atol: 1e-5 });
  }
  const [before, after] = [model, without].map((of) => rowsAt(of, "blocks.0.hook_resid_pre"));
  const parts = along(before);
  const want = before.map((x, i) => x - parts[Math.floor(i / d)] * direction[i % d]);
  expect(after).toBeAllclose(want, { atol: 1e-5 });
});

test.each([
  ["tokens", [3, 8], [0, 1, 0, 0, 1, 1]],
  ["positions", [2], [0, 0, 1, 0, 0, 0]],
] as const)("what is injected for %s is in their embeddings alone", (into, chosen, where) => {
  const changed = injectDirection(model, direction, into, chosen);
  const [before, after] = [model, changed].map((of) => rowsAt(of, "blocks.0.hook_resid_pre"));
  const want = before.map((x, i) => x + where[Math.floor(i / d)] * direction[i % d]);
  expect(after).toBeAllclose(want, { atol: 1e-5 });
});

test("a head that is silenced writes nothing, the others what they did", () => {
  const size = d / sizes.n_head;
  const zeroed = (layer: number, heads: readonly number[], z: Float32Array): Float32Array => {
    const weight = model.weights.get(`transformer.h.${layer}.attn.c_proj.weight`)!;
    const bias = model.weights.get(`transformer.h.${layer}.attn.c_proj.bias`)!;
    return Float32Array.from({ length: z.length }, (_, i) => {
      const [t, a] = [Math.floor(i / d), i % d];
      let sum = bias.data[a] as number;
      for (let b = 0; b < d; b++) {
        if (heads.includes(Math.floor(b / size))) continue;
        sum += z[t * d + b] * (weight.data[b * d + a] as number);
      }
      return sum;
    });
  };
  const silent = silenceHeads(model, 1, [0, 2]);
  const z = rowsAt(silent, "blocks.1.attn.hook_z");
  expect(rowsAt(silent, "blocks.1.hook_attn_out")).toBeAllclose(zeroed(1, [0, 2], z), {
    atol: 1e-5,
  });
  expect(z).toEqual(rowsAt(model, "blocks.1.attn.hook_z"));
});
