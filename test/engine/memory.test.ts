// Memory stays flat on the native backend: arrays of disposed tensors come back, over thousands of steps.
import { afterAll, expect } from "vitest";
import {
  createRng,
  crossEntropy,
  gelu,
  layerNorm,
  linear,
  tf,
  useBackend,
} from "../../src/engine/index.ts";
import { createLmTrainer, gpt2Config, initGpt2, lmTrainDefaults } from "../../src/models/index.ts";
import { residentGrowth } from "../support/held-memory.ts";
import { missingNative } from "../support/native.ts";
import { testWith } from "../support/require.ts";

const native = testWith("native", await missingNative());

afterAll(async () => {
  await useBackend("wasm");
});

// What V8 and the allocator may keep; one array of 6 KiB leaked by each step is 24.
const slack = 8;

native("10,000 steps of fused operations, forward and backward, take no more memory", async () => {
  await useBackend("native");
  const rng = createRng("memory");
  const normal = (...shape: number[]): tf.Tensor =>
    tf.tensor(
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => rng.normal()),
      shape,
    );
  const [n, d, vocab] = [32, 48, 67];
  const inputs = [normal(n, d), normal(d), normal(d), normal(d, d), normal(vocab, d)];
  const targets = Int32Array.from({ length: n }, () => rng.int(vocab));
  const gradients = tf.grads((x, gain, bias, w, unembed) => {
    const hidden = gelu(
      layerNorm(x as tf.Tensor2D, gain as tf.Tensor1D, bias as tf.Tensor1D, 1e-5),
    );
    const last = linear(hidden as tf.Tensor2D, w as tf.Tensor2D);
    return crossEntropy(last, unembed as tf.Tensor2D, targets);
  });
  const step = (): void => tf.dispose(tf.tidy(() => gradients(inputs)));
  for (let i = 0; i < 2000; i++) step();
  const tensors = tf.memory().numTensors;
  expect(await residentGrowth(4000, step, slack)).toBeLessThan(slack);
  expect(tf.memory().numTensors).toBe(tensors);
  tf.dispose(inputs);
});

native("training a language model takes no more memory from step to step", async () => {
  await useBackend("native");
  const config = gpt2Config({
    vocab_size: 300,
    n_positions: 32,
    n_embd: 48,
    n_layer: 2,
    n_head: 3,
  });
  const trainer = createLmTrainer(initGpt2(config, createRng("memory")), {
    ...lmTrainDefaults,
    steps: 2000,
  });
  const draw = createRng("ids");
  const step = async (): Promise<void> => {
    const ids = Int32Array.from({ length: 4 * 32 }, () => draw.int(300));
    await trainer.step({ ids, context: 32 });
  };
  for (let i = 0; i < 200; i++) await step();
  const tensors = tf.memory().numTensors;
  expect(await residentGrowth(300, step, slack)).toBeLessThan(slack);
  expect(tf.memory().numTensors).toBe(tensors);
  trainer.dispose();
});
