// A map fitted on paired rows: an affine relation is found, unrelated rows are seen to be unrelated.
import { beforeAll, expect, test } from "vitest";
import { fitRows } from "../../../sae/rows/fit-rows.ts";
import type { PairedRows } from "../../../sae/rows/pair-rows.ts";
import { createRng, useBackend } from "../../../src/engine/index.ts";
import { testBackend } from "../../support/backend.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const [n, d, D] = [600, 3, 5];
const rng = createRng("fit rows");
const normal = (count: number): Float32Array =>
  Float32Array.from({ length: count }, () => rng.normal());
const x = normal(n * d);
const M = normal(D * d);

const pairsOf = (y: Float32Array): PairedRows => ({
  n,
  sequenceLength: new Int32Array(n / 10).fill(10),
  unpaired: { a: 0, b: 0 },
  async *a() {
    yield x.slice(0, 250 * d);
    yield x.slice(250 * d);
  },
  async *b() {
    yield y;
  },
});

test("an affine map is found, with nothing left unexplained on the other sequences", async () => {
  const y = new Float32Array(n * D);
  for (let row = 0; row < n; row++) {
    for (let j = 0; j < D; j++) {
      let sum = j - 1;
      for (let i = 0; i < d; i++) sum += M[j * d + i] * x[row * d + i];
      y[row * D + j] = sum;
    }
  }
  const { map, r2 } = await fitRows(pairsOf(y), d, D);
  expect(r2).toBeGreaterThan(0.99999);
  for (const [at, value] of M.entries()) expect(map.E[at]).toBeCloseTo(value, 1);
  for (const [j, value] of (map.offset?.e ?? []).entries()) expect(value).toBeCloseTo(j - 1, 1);
});

test("a map to unrelated rows explains nothing on other sequences", async () => {
  const { r2 } = await fitRows(pairsOf(normal(n * D)), d, D);
  expect(Math.abs(r2 as number)).toBeLessThan(0.05);
});
