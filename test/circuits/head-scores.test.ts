import { beforeAll, expect, test } from "vitest";
import { diagonalMeans, repeatedSequences } from "../../circuits/head-scores.ts";
import { headScores } from "../../circuits/index.ts";
import { createRng, useBackend } from "../../src/engine/index.ts";
import { gpt2Config, initGpt2, placeModel } from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

/** A [1, 1, width, width] pattern in which each position attends to one place. */
function pattern(width: number, to: (i: number) => number): Float32Array {
  const values = new Float32Array(width * width);
  for (let i = 0; i < width; i++) values[i * width + to(i)] = 1;
  return values;
}

test("perfect heads score 1 on their own diagonal and 0 on the others", () => {
  const L = 4;
  const width = 2 * L + 1;
  const back = { induction: L - 1, previous: 1, duplicate: L };
  for (const offset of Object.values(back)) {
    const values = pattern(width, (i) => Math.max(0, i - offset));
    for (const other of Object.values(back)) {
      const [score] = diagonalMeans(values, [1, 1, width], other);
      if (other === offset) expect(score).toBe(1);
      else expect(score).toBeLessThan(1 / 4 + 1e-9); // early rows fall on BOS
    }
  }
});

test("a diagonal is averaged over sequences and positions, head by head", () => {
  // two sequences, two heads, width 2: the diagonal −1 is the entry [1, 0]
  const values = Float32Array.of(1, 0, 0.2, 0.8, 1, 0, 1, 0, 1, 0, 0.6, 0.4, 1, 0, 0, 1);
  expect(diagonalMeans(values, [2, 2, 2], 1)).toBeAllclose([0.4, 0.5]);
});

test("sequences are [BOS, r, r] and [BOS, r, r′] of distinct tokens without BOS", () => {
  const { repeated, unrelated } = repeatedSequences(20, 3, 5, 2, createRng(0));
  for (let s = 0; s < 2; s++) {
    const row = Array.from(repeated.subarray(s * 11, s * 11 + 11));
    expect(row[0]).toBe(3);
    expect(row.slice(1, 6)).toEqual(row.slice(6));
    expect(new Set(unrelated.subarray(s * 11, s * 11 + 11)).size).toBe(11);
  }
});

test("an untrained model has scores near uniform attention, within 0 and 1, the same for one seed", () => {
  const config = gpt2Config({
    vocab_size: 40,
    n_positions: 16,
    n_embd: 12,
    n_layer: 2,
    n_head: 3,
  });
  const model = placeModel(initGpt2(config, createRng(0)));
  const scores = headScores(model, 0, createRng(1), { sequences: 4 });
  expect(scores.length).toBe(7); // cut to (16 − 1) / 2
  expect(scores.induction).toHaveLength(2);
  expect(scores.null.previous_token[1]).toHaveLength(3);
  for (const value of scores.previous_token.flat()) {
    expect(value).toBeGreaterThan(0.05);
    expect(value).toBeLessThan(0.5);
  }
  expect(headScores(model, 0, createRng(1), { sequences: 4 })).toEqual(scores);
  model.dispose();
});

test("a model built to attend to the previous token scores 1 there, with or without repetition", () => {
  const d = 16;
  const config = gpt2Config({
    vocab_size: 40,
    n_positions: d,
    n_embd: d,
    n_layer: 1,
    n_head: 1,
  });
  const host = initGpt2(config, createRng(0));
  const fill = (name: string, value: (i: number) => number): void => {
    const data = host.weights.get(`transformer.${name}`)!.data as Float32Array;
    for (let i = 0; i < data.length; i++) data[i] = value(i);
  };
  fill("wte.weight", () => 0);
  fill("wpe.weight", (i) => (Math.floor(i / d) === i % d ? 1 : 0)); // position i is axis i
  fill("h.0.attn.c_attn.bias", () => 0);
  fill("h.0.attn.c_attn.weight", (i) => {
    const [from, to] = [Math.floor(i / (3 * d)), i % (3 * d)];
    if (to < d) return from === to ? 10 : 0; // the query of position i is axis i
    return to < 2 * d && to - d === from + 1 ? 10 : 0; // the key of position j is axis j + 1
  });
  const model = placeModel(host);
  const scores = headScores(model, 0, createRng(0), { sequences: 2 });
  model.dispose();
  expect(scores.previous_token[0][0]).toBeGreaterThan(0.99);
  expect(scores.null.previous_token[0][0]).toBeGreaterThan(0.99);
  expect(scores.induction[0][0]).toBeLessThan(0.2); // early rows: BOS alone is left
  expect(scores.duplicate_token[0][0]).toBeLessThan(0.2);
});
