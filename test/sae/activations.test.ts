import { beforeAll, expect, test } from "vitest";
import { modelActivations, rowActivations } from "../../sae/index.ts";
import { createRng, tf, useBackend } from "../../src/engine/index.ts";
import {
  activationsAt,
  gpt2Config,
  initGpt2,
  type Model,
  placeModel,
} from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";

const context = 5;
const nSeq = 6;
const hook = "blocks.0.hook_resid_post";
const set = {
  ids: Int32Array.from({ length: nSeq * context }, (_, i) => (i * 7) % 11),
  nSeq,
  context,
};
let model: Model;
let every: Float32Array; // [nSeq · context, 4]

beforeAll(async () => {
  await useBackend(testBackend);
  const config = gpt2Config({
    vocab_size: 11,
    n_positions: context,
    n_embd: 4,
    n_layer: 1,
    n_head: 2,
  });
  model = placeModel(initGpt2(config, createRng(1)));
  const all = activationsAt(model, set.ids, nSeq, hook);
  every = (await all.data()) as Float32Array;
  all.dispose();
});

const source = (options = {}) =>
  modelActivations(model, hook, set, {
    batchSize: 4,
    rng: createRng("order"),
    chunkBatches: 3,
    batchSequences: 2,
    ...options,
  });

async function rowsOf(from: ReturnType<typeof source>, step: number): Promise<number[][]> {
  const batch = await from.batch(step);
  const rows = (await batch.array()) as number[][];
  batch.dispose();
  return rows;
}

/** Which row of the set an activation row is: sequence · context + position. */
function placeOf(row: readonly number[]): number {
  for (let at = 0; at < nSeq * context; at++) {
    if (row.every((value, j) => Math.abs(value - every[at * 4 + j]) < 1e-6)) return at;
  }
  throw new Error("a row that the model doesn't have");
}

test("an epoch meets every row but first tokens once, in mixed order", async () => {
  const one = source();
  const places: number[] = [];
  // 6 sequences of 4 rows make 24 rows, 6 batches of 4
  for (let step = 0; step < 6; step++) places.push(...(await rowsOf(one, step)).map(placeOf));
  const wanted = [...Array(nSeq * context).keys()].filter((at) => at % context > 0);
  expect([...places].sort((a, b) => a - b)).toEqual(wanted);
  expect(places).not.toEqual(wanted);
  const next: number[] = [];
  for (let step = 6; step < 12; step++) next.push(...(await rowsOf(one, step)).map(placeOf));
  expect([...next].sort((a, b) => a - b)).toEqual(wanted);
  expect(next).not.toEqual(places);
});

test("a batch depends on its step alone, not on what was asked before", async () => {
  const forwards = source();
  const backwards = source();
  const first = [];
  for (let step = 0; step < 8; step++) first.push(await rowsOf(forwards, step));
  const last = [];
  for (let step = 7; step >= 0; step--) last.unshift(await rowsOf(backwards, step));
  expect(last).toEqual(first);
});

test("how many sequences a pass takes doesn't matter; the seed does", async () => {
  const wanted = (await rowsOf(source(), 4)).flat();
  expect((await rowsOf(source({ batchSequences: 32 }), 4)).flat()).toBeAllclose(wanted, {
    atol: 1e-6,
  });
  const other = (await rowsOf(source({ rng: createRng("another") }), 4)).map(placeOf);
  expect(other).not.toEqual((await rowsOf(source(), 4)).map(placeOf));
});

test("more first tokens can be left out, or none; but not all", async () => {
  const places = new Set<number>();
  const none = source({ firstTokensExcluded: 0 });
  for (let step = 0; step < 8; step++) {
    for (const row of await rowsOf(none, step)) places.add(placeOf(row) % context);
  }
  expect(places.has(0)).toBe(true);
  const late = await rowsOf(source({ firstTokensExcluded: 4 }), 0);
  expect(late.map((row) => placeOf(row) % context)).toEqual([4, 4, 4, 4]);
  expect(() => source({ firstTokensExcluded: 5 })).toThrow(/without rows/);
});

test("an unknown hook is refused, and no tensor is left behind", async () => {
  expect(() =>
    modelActivations(model, "blocks.9.hook_resid_post", set, { batchSize: 1, rng: createRng(0) }),
  ).toThrow(/blocks\.9/);
  const before = tf.memory().numTensors;
  const one = source();
  await rowsOf(one, 0);
  one.dispose();
  expect(tf.memory().numTensors).toBe(before);
});

test("rows in memory are served in order, from the start again at the end", async () => {
  const rows = rowActivations(Float32Array.of(1, 2, 3, 4, 5, 6), 2, 2);
  expect(await rowsOf(rows, 0)).toEqual([
    [1, 2],
    [3, 4],
  ]);
  expect(await rowsOf(rows, 1)).toEqual([
    [5, 6],
    [1, 2],
  ]);
});
