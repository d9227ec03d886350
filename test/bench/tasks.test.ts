// Our side of the benchmarks at sizes that take no time: the tasks run, and tell what the peers have to equal.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { syntheticRows } from "../../bench/ours/data.ts";
import { prepareDump } from "../../bench/ours/dump.ts";
import { prepareExpand } from "../../bench/ours/expand.ts";
import { prepareLm } from "../../bench/ours/lm.ts";
import { prepareMatch } from "../../bench/ours/match.ts";
import { prepareSae } from "../../bench/ours/sae.ts";
import { useBackend } from "../../src/engine/index.ts";
import { readArrow, readSafetensors } from "../../src/index.ts";
import { temporaryFolder } from "../support/folder.ts";

const folder = temporaryFolder();
const floats = (name: string): Float32Array => {
  const bytes = readFileSync(join(folder(), `${name}.f32`));
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
};

beforeAll(async () => {
  await useBackend("wasm");
});

test("synthetic rows are the same again, and have mean norm √d over the sample", () => {
  const rows = syntheticRows(40, 8, 30, "seed");
  expect(syntheticRows(40, 8, 30, "seed")).toEqual(rows);
  const norms = Array.from({ length: 30 }, (_, i) =>
    Math.hypot(...rows.subarray(8 * i, 8 * i + 8)),
  );
  expect(norms.reduce((a, b) => a + b) / 30).toBeCloseTo(Math.sqrt(8), 5);
});

describe("SAE steps", () => {
  const sizes = { d_in: 6, d_sae: 20, k: 3, batch: 16 };

  for (const batch_wide of [0, 1]) {
    test(`the first loss of ${batch_wide ? "BatchTopK" : "TopK"} is that of the files the peers read`, async () => {
      const task = await prepareSae({
        variant: "ours",
        sizes: { ...sizes, batch_wide },
        folder: folder(),
      });
      const [rows, W_enc, W_dec, b_dec] = ["rows", "W_enc", "W_dec", "b_dec"].map(floats);
      const want = firstLoss(rows, W_enc, W_dec, b_dec, batch_wide === 1, sizes);
      const { losses } = (await task(3)) ?? {};
      expect(losses).toHaveLength(3);
      expect(losses?.[0]).toBeCloseTo(want, 4);
    });
  }
});

/** Mean squared error of the first batch, in f64; b_enc is zero at the start. */
function firstLoss(
  rows: Float32Array,
  W_enc: Float32Array, // [d_in, d_sae]
  W_dec: Float32Array, // [d_sae, d_in]
  b_dec: Float32Array,
  batchWide: boolean,
  { d_in, d_sae, k, batch }: { d_in: number; d_sae: number; k: number; batch: number },
): number {
  const pre = Array.from({ length: batch }, (_, t) =>
    Array.from({ length: d_sae }, (_, i) => {
      let sum = 0;
      for (let j = 0; j < d_in; j++) sum += (rows[t * d_in + j] - b_dec[j]) * W_enc[j * d_sae + i];
      return sum;
    }),
  );
  const largest = (values: number[], n: number): number => values.sort((a, b) => b - a)[n - 1];
  const least = pre.map((row) =>
    batchWide ? largest(pre.flat(), k * batch) : largest([...row], k),
  );
  let total = 0;
  for (const [t, row] of pre.entries()) {
    for (let j = 0; j < d_in; j++) {
      let out = b_dec[j];
      for (const [i, p] of row.entries()) {
        if (p >= least[t] && p > 0) out += p * W_dec[i * d_in + j];
      }
      total += (rows[t * d_in + j] - out) ** 2;
    }
  }
  return total / batch;
}

test("language-model steps start near the loss of guessing, and leave a checkpoint and ids", async () => {
  const sizes = { layers: 1, heads: 2, width: 8, vocab: 16, context: 4, batch: 2 };
  const task = await prepareLm({ variant: "ours", sizes, folder: folder() });
  const { losses } = (await task(2)) ?? {};
  expect(losses?.[0]).toBeGreaterThan(0.5 * Math.log(16));
  expect(losses?.[0]).toBeLessThan(2 * Math.log(16));
  expect(readFileSync(folder("ids.i32"))).toHaveLength(4 * 4 * 2 * 5);
  expect(readFileSync(folder("model", "model.safetensors")).length).toBeGreaterThan(1000);
});

test("matches tell the mean sum of a row's best cosines", async () => {
  const sizes = { latents: 9, d: 5, m: 2 };
  const task = await prepareMatch({ variant: "ours", sizes, folder: folder() });
  const { losses } = (await task(1)) ?? {};
  const [a, b] = ["a", "b"].map(floats);
  const row = (of: Float32Array, i: number): Float32Array => of.subarray(5 * i, 5 * i + 5);
  let want = 0;
  for (let i = 0; i < 9; i++) {
    const cosines = Array.from({ length: 9 }, (_, o) => {
      const dot = row(a, i).reduce((sum, x, j) => sum + x * row(b, o)[j], 0);
      return dot / Math.hypot(...row(a, i)) / Math.hypot(...row(b, o));
    }).sort((x, y) => y - x);
    want += (cosines[0] + cosines[1]) / 9;
  }
  expect(losses?.[0]).toBeCloseTo(want, 5);
});

test("widening by two doubles Σ|w| of the embedding and of the MLP's input weights, as HyperCloning does", async () => {
  const sizes = { layers: 1, heads: 2, width: 8, vocab: 16, context: 4, factor: 2 };
  const request = { variant: "ours", sizes, folder: folder() };
  const { losses } = (await (await prepareExpand(request))(1)) ?? {};
  const { tensors } = readSafetensors(folder("model", "model.safetensors"));
  const sum = (name: string): number =>
    (tensors.get(name)!.data as Float32Array).reduce((total, x) => total + Math.abs(x), 0);
  expect(losses?.[0]).toBeCloseTo(2 * sum("transformer.wte.weight"), 3);
  expect(losses?.[1]).toBeCloseTo(2 * sum("transformer.h.0.mlp.c_fc.weight"), 3);
  expect(await (await prepareExpand({ ...request, variant: "copy" }))(1)).toBeUndefined();
  await (await prepareExpand({ ...request, sizes: { ...sizes, files: 1 } }))(2);
  expect(readSafetensors(folder("ours", "model.safetensors")).tensors.size).toBe(tensors.size);
});

test("a dump holds every batch, and the raw file as many numbers", async () => {
  const request = { sizes: { width: 3, rows: 4, batches: 2 }, folder: folder() };
  await (await prepareDump({ ...request, variant: "ours" }))(1);
  await (await prepareDump({ ...request, variant: "raw" }))(1);
  expect(readArrow(folder("ours.arrow")).rows).toBe(8);
  expect(readFileSync(folder("raw.bin"))).toHaveLength(8 * 3 * 4);
});
