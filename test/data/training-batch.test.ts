import fc from "fast-check";
import { expect, test } from "vitest";
import { batchRows, type TokenSet, trainingBatch } from "../../src/data/index.ts";
import { createRng } from "../../src/engine/random.ts";
import { refusal } from "./support.ts";

function rowsOver(nSeq: number, batchSize: number, steps: number, seed = 0): number[] {
  const rng = createRng(seed);
  return Array.from({ length: steps }, (_, step) => [
    ...batchRows(nSeq, batchSize, step, rng),
  ]).flat();
}

test("each epoch meets every sequence once, whatever the batch size", () => {
  const size = fc.integer({ min: 1, max: 70 });
  fc.assert(
    fc.property(size, size, fc.integer(), (nSeq, batchSize, seed) => {
      const rows = rowsOver(nSeq, batchSize, Math.ceil((3 * nSeq) / batchSize), seed);
      for (let epoch = 0; epoch < 3; epoch++) {
        const met = rows.slice(epoch * nSeq, (epoch + 1) * nSeq).sort((a, b) => a - b);
        expect(met).toEqual(Array.from({ length: nSeq }, (_, i) => i));
      }
    }),
  );
});

test("a batch is a function of the seed and the step, not of what was drawn before", () => {
  const drawn = createRng(5);
  drawn.next();
  const after = batchRows(100, 8, 7, drawn);
  expect(after).toEqual(batchRows(100, 8, 7, createRng(5)));
  expect(after).not.toEqual(batchRows(100, 8, 7, createRng(6)));
  expect(after).not.toEqual(batchRows(100, 8, 8, createRng(5)));
});

test("epochs have orders of their own", () => {
  const rows = rowsOver(200, 10, 40);
  expect(rows.slice(0, 200)).not.toEqual(rows.slice(200));
});

test("every order of three sequences comes about equally often", () => {
  const counts = new Map<string, number>();
  for (let seed = 0; seed < 6000; seed++) {
    const order = rowsOver(3, 3, 1, seed).join("");
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  expect(counts.size).toBe(6);
  for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150); // 5 sd
});

test("neighbours in an order are not neighbours in the corpus: lag-one correlation is near nought", () => {
  const n = 20_000;
  const rows = rowsOver(n, n, 1);
  const mean = (n - 1) / 2;
  let product = 0;
  let square = 0;
  for (let i = 0; i < n; i++) {
    square += (rows[i] - mean) ** 2;
    if (i > 0) product += (rows[i] - mean) * (rows[i - 1] - mean);
  }
  expect(Math.abs(product / square)).toBeLessThan(5 / Math.sqrt(n));
});

test("a batch holds the ids of its sequences; in file order they follow one another", () => {
  const set: TokenSet = {
    ids: Int32Array.of(0, 1, 0, 2, 0, 3),
    doc: new Int32Array(3),
    start: new Int32Array(3),
    nSeq: 3,
    context: 2,
  };
  const rng = createRng(1);
  expect([...trainingBatch(set, 2, 0, rng, "file")]).toEqual([0, 1, 0, 2]);
  expect([...trainingBatch(set, 2, 1, rng, "file")]).toEqual([0, 3, 0, 1]);
  const rows = batchRows(3, 3, 4, rng);
  const wanted = [...rows].flatMap((row) => [0, row + 1]);
  expect([...trainingBatch(set, 3, 4, rng)]).toEqual(wanted);
});

test("a set without sequences is refused", async () => {
  expect((await refusal(() => batchRows(0, 1, 0, createRng(0)))).code).toBe("corpus-too-short");
});
