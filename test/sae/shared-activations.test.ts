import { beforeAll, expect, test } from "vitest";
import {
  modelActivations,
  modelSequences,
  type SequenceReader,
  sharedActivations,
} from "../../sae/index.ts";
import { createRng, tf, useBackend } from "../../src/engine/index.ts";
import { gpt2Config, initModel, type Model, placeModel } from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";

let model: Model;
const context = 7;
const set = {
  ids: Int32Array.from({ length: 11 * context }, (_, i) => (i * i + 3 * i) % 13),
  nSeq: 11,
  context,
};
const hooks = ["blocks.1.mlp.hook_post", "blocks.0.hook_resid_post", "blocks.1.attn.hook_z"];

beforeAll(async () => {
  await useBackend(testBackend);
  const config = gpt2Config({
    vocab_size: 13,
    n_positions: context,
    n_embd: 6,
    n_layer: 2,
    n_head: 3,
  });
  model = placeModel(initModel(config, createRng(4)));
});

const options = () => ({ batchSize: 5, rng: createRng("order"), chunkBatches: 3 });

test("streams that share their forward passes hold the bytes of streams of their own", async () => {
  const shared = sharedActivations(modelSequences(model, hooks, set), options());
  expect(shared.buffer).toEqual({ tokens: 15, bytes: 15 * (24 + 6 + 6) * 4 });
  const before = tf.memory().numTensors;
  for (let step = 0; step < 30; step += 2) {
    for (const hook of hooks) {
      const alone = modelActivations(model, hook, set, options());
      const [a, b] = [await shared.at(hook).batch(step), await alone.batch(step)];
      expect(await a.data()).toEqual(await b.data());
      tf.dispose([a, b]);
    }
  }
  expect(tf.memory().numTensors).toBe(before);
});

test("sequences are read once for all hooks, and no more than one chunk is kept", async () => {
  let reads = 0;
  const inner = modelSequences(model, hooks, set);
  const reader: SequenceReader = {
    ...inner,
    read(sequences) {
      reads += sequences.length;
      return inner.read(sequences);
    },
  };
  const shared = sharedActivations(reader, { ...options(), chunkBatches: 2 });
  for (let step = 0; step < 4; step++) {
    for (const hook of hooks) (await shared.at(hook).batch(step)).dispose();
  }
  // 20 rows of 6 a sequence: sequences 0 to 1 and a part of 1 to 3
  expect(reads).toBe(2 + 3);
});

/** Sequences of the given lengths; row r of sequence s is (s, r + 1), or as `norm` scales it. */
function numbered(lengths: readonly number[], scale: (s: number, r: number) => number = () => 1) {
  return {
    hooks: [{ name: "x", width: 2 }],
    nSeq: lengths.length,
    atOnce: 2,
    rowsIn: (i) => lengths[i],
    read: async (sequences) => [
      Float32Array.from(
        [...sequences].flatMap((s) =>
          Array.from({ length: lengths[s] }, (_, r) => [s * scale(s, r), scale(s, r)]).flat(),
        ),
      ),
    ],
  } satisfies SequenceReader;
}

async function epochRows(reader: SequenceReader, steps: number, batchSize: number) {
  const source = sharedActivations(reader, { ...options(), batchSize }).at("x");
  const rows: string[] = [];
  for (let step = 0; step < steps; step++) {
    const batch = await source.batch(step);
    rows.push(...((await batch.array()) as number[][]).map((row) => row.join()));
    batch.dispose();
  }
  return rows;
}

test("sequences may differ in length, or have no rows at all: an epoch meets each row once", async () => {
  const lengths = [3, 0, 1, 5, 0, 2, 7];
  const count = new Map<string, number>();
  for (const row of await epochRows(numbered(lengths), 12, 3)) {
    count.set(row, (count.get(row) ?? 0) + 1);
  }
  // 36 rows are two epochs of 18
  for (const [s, length] of lengths.entries()) expect(count.get(`${s},1`) ?? 0).toBe(2 * length);
  expect(() => sharedActivations(numbered([0, 0]), options())).toThrow(/without rows/);
});

test("rows of a norm above so many medians are left out, others of the chunk stand in their places", async () => {
  // one row in ten is 100 times as long
  const reader = numbered(new Array(20).fill(10), (_, r) => (r === 4 ? 100 : 1));
  const all = await sharedActivations(reader, { ...options(), batchSize: 20 });
  const kept = await sharedActivations(reader, { ...options(), batchSize: 20, maxNormRatio: 15 });
  let replaced = 0;
  for (let step = 0; step < 10; step++) {
    const [a, b] = [await all.at("x").batch(step), await kept.at("x").batch(step)];
    const rows = [(await a.array()) as number[][], (await b.array()) as number[][]];
    for (const [i, row] of rows[0].entries()) {
      if (row[1] === 100) {
        replaced++;
        expect(rows[1][i][1]).toBe(1);
      } else expect(rows[1][i]).toEqual(row);
    }
    tf.dispose([a, b]);
  }
  expect(replaced).toBe(20);
  // where training goes on later: the limit still comes from the first chunk
  const late = await sharedActivations(reader, { ...options(), batchSize: 20, maxNormRatio: 15 });
  const [again, wanted] = [await late.at("x").batch(9), await kept.at("x").batch(9)];
  expect(await again.data()).toEqual(await wanted.data());
});
