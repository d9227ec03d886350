// The forward pass against GPT-2 in plain f64 loops: logits and every hook, at odd sizes.
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { tf, useBackend } from "../../src/engine/index.ts";
import {
  activationsAt,
  attentionPatterns,
  forwardHidden,
  forwardLogits,
  gpt2Config,
  type HostModel,
  hookNames,
  hookWidth,
  placeModel,
} from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { runF64 } from "../support/gpt2-f64.ts";
import { randomModel } from "../support/growth-f64.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const close = { rtol: 1e-4, atol: 1e-5 };

/** What the reference has at a hook (or the logits) for several sequences, laid end to end. */
function reference(host: HostModel, rows: readonly number[][], name: string): number[] {
  return rows.flatMap((row) => {
    const { logits, hooks } = runF64(host, row);
    return [...(name === "logits" ? logits : hooks.get(name)!)];
  });
}

const sizes = fc.record({
  vocab_size: fc.integer({ min: 1, max: 13 }),
  n_positions: fc.integer({ min: 1, max: 7 }),
  n_layer: fc.integer({ min: 1, max: 3 }),
  n_head: fc.integer({ min: 1, max: 3 }),
  headDim: fc.integer({ min: 1, max: 5 }),
  n_inner: fc.integer({ min: 1, max: 11 }),
  batch: fc.integer({ min: 1, max: 3 }),
  seed: fc.nat(),
});

test("logits, patterns and the value at every hook equal the f64 reference, at any size", async () => {
  await fc.assert(
    fc.asyncProperty(sizes, async ({ headDim, batch, seed, ...rest }) => {
      const config = gpt2Config({
        ...rest,
        n_embd: rest.n_head * headDim,
        layer_norm_epsilon: 0.01,
      });
      const host = randomModel(config, seed);
      const context = 1 + (seed % config.n_positions);
      const rows = Array.from({ length: batch }, (_, b) =>
        Array.from({ length: context }, (_, t) => (seed + 7 * b + 3 * t * t) % config.vocab_size),
      );
      const ids = Int32Array.from(rows.flat());
      const before = tf.memory().numTensors;
      const model = placeModel(host);
      const logits = tf.tidy(() => forwardLogits(model, ids, batch));
      expect(logits.shape).toEqual([batch, context, config.vocab_size]);
      expect(await logits.data()).toBeAllclose(reference(host, rows, "logits"), close);
      const patterns = attentionPatterns(model, ids, batch);
      for (const name of hookNames(config)) {
        const layer = /^blocks\.(\d+)\.attn\.hook_pattern$/.exec(name)?.[1];
        const value =
          layer === undefined ? activationsAt(model, ids, batch, name) : patterns[Number(layer)];
        if (layer === undefined)
          expect(value.shape).toEqual([batch * context, hookWidth(config, name)]);
        else expect(value.shape).toEqual([batch, config.n_head, context, context]);
        expect(await value.data()).toBeAllclose(reference(host, rows, name), close);
        if (layer === undefined) value.dispose();
      }
      tf.dispose([...patterns, logits]);
      model.dispose();
      expect(tf.memory().numTensors).toBe(before);
    }),
    // seeded: random weights may make a norm as ill-conditioned as they like
    { numRuns: 12, seed: 5 },
  );
});

const config = gpt2Config({ vocab_size: 9, n_positions: 6, n_embd: 8, n_layer: 2, n_head: 2 });

test("a sequence's logits depend neither on its neighbours in the batch nor on later tokens", async () => {
  const model = placeModel(randomModel(config, "rows"));
  const logitsOf = async (rows: number[][]): Promise<Float32Array> => {
    const ids = Int32Array.from(rows.flat());
    const logits = tf.tidy(() => forwardLogits(model, ids, rows.length));
    const values = (await logits.data()) as Float32Array;
    logits.dispose();
    return values;
  };
  const alone = await logitsOf([[1, 2, 3, 4]]);
  const beside = await logitsOf([
    [8, 8, 8, 8],
    [1, 2, 3, 4],
  ]);
  expect(beside.subarray(4 * 9)).toBeAllclose(alone, close);
  const other = await logitsOf([[1, 2, 3, 7]]);
  expect(other.subarray(0, 3 * 9)).toBeAllclose(alone.subarray(0, 3 * 9), close);
  expect(other.subarray(3 * 9)).not.toBeAllclose(alone.subarray(3 * 9), close);
  model.dispose();
});

test("ids that are no whole sequences, too long, or outside the vocabulary are refused", () => {
  const model = placeModel(randomModel(config, 0));
  const run = (ids: number[], batch: number) => () =>
    tf.tidy(() => forwardHidden(model, Int32Array.from(ids), batch));
  expect(run([1, 2, 3], 2)).toThrow(/internal: 3 ids in 2 sequences/);
  expect(run([1, 2, 3, 4, 5, 6, 7], 1)).toThrow(/1 to 6 tokens/);
  expect(run([], 1)).toThrow(/0 ids/);
  expect(run([1, 9], 1)).toThrow(/token id 9/);
  expect(run([1, -1], 1)).toThrow(/token id -1/);
  model.dispose();
});
