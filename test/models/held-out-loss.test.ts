// The held-out loss: the mean of the tokens' losses, and its standard error over sequences.
import { beforeAll, expect, test } from "vitest";
import { tf, tokenLoss, useBackend } from "../../src/engine/index.ts";
import {
  forwardHidden,
  gpt2Config,
  heldOutLoss,
  placeModel,
  shift,
  unembedding,
} from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { runF64 } from "../support/gpt2-f64.ts";
import { randomModel } from "../support/growth-f64.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const config = gpt2Config({ vocab_size: 9, n_positions: 5, n_embd: 6, n_layer: 1, n_head: 2 });
const host = randomModel(config, "held out");
const context = 4;
const ids = Int32Array.of(0, 1, 2, 3, 0, 8, 8, 1, 0, 5, 6, 7, 0, 2, 4, 6, 0, 1, 1, 1);

test("it is the mean of tokenLoss over every token but the first of each sequence", async () => {
  const model = placeModel(host);
  const before = tf.memory().numTensors;
  const { inputs, targets, batch } = shift(ids, context);
  const hidden = tf.tidy(() => forwardHidden(model, inputs, batch));
  const losses = await tokenLoss(hidden, unembedding(model), targets);
  hidden.dispose();
  const { loss, tokens } = await heldOutLoss(model, ids, context);
  expect(tokens).toBe(5 * 3);
  expect(loss).toBeCloseTo(losses.reduce((sum, x) => sum + x, 0) / 15, 6);
  expect(tf.memory().numTensors).toBe(before);
  model.dispose();
});

test("loss and standard error by hand from the f64 reference", async () => {
  const means = Array.from({ length: 5 }, (_, s) => {
    const row = ids.subarray(s * context, (s + 1) * context);
    const { logits } = runF64(host, row.subarray(0, context - 1));
    let sum = 0;
    for (let t = 0; t < context - 1; t++) {
      const scores = logits.subarray(t * 9, (t + 1) * 9);
      sum += Math.log(scores.reduce((total, x) => total + Math.exp(x), 0)) - scores[row[t + 1]];
    }
    return sum / (context - 1);
  });
  const mean = means.reduce((a, b) => a + b) / 5;
  const variance = means.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 4;
  const model = placeModel(host);
  for (const batchSequences of [1, 2, 5, 32]) {
    const { loss, se } = await heldOutLoss(model, ids, context, { batchSequences });
    expect([loss, se]).toBeAllclose([mean, Math.sqrt(variance / 5)], { rtol: 1e-4 });
  }
  model.dispose();
});

test("hooks change it; an ablated final norm leaves the uniform guess", async () => {
  const model = placeModel(host);
  const { loss } = await heldOutLoss(model, ids, context, {
    hooks: { "ln_final.hook_normalized": (value) => tf.zerosLike(value) },
  });
  expect(loss).toBeCloseTo(Math.log(9), 5);
  model.dispose();
});

test("ids that are no whole sequences are refused", async () => {
  const model = placeModel(host);
  await expect(heldOutLoss(model, ids.subarray(1), context)).rejects.toThrow("internal:");
  model.dispose();
});
