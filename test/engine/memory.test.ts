// Memory stays flat on the native backend: arrays of disposed tensors come back, over thousands of steps.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
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
import { missingNative } from "../support/native.ts";
import { testWith } from "../support/require.ts";

const native = testWith("native", await missingNative());

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

afterAll(async () => {
  await useBackend("wasm");
});

/** Lowest resident memory in MiB, garbage collected, seen while `steps` steps are made in eight parts. */
async function lowest(steps: number, step: () => Promise<void> | void): Promise<number> {
  let least = Infinity;
  for (let part = 0; part < 8; part++) {
    for (let i = 0; i < steps / 8; i++) await step();
    collect();
    least = Math.min(least, process.memoryUsage.rss() / 2 ** 20);
  }
  return least;
}

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
  await lowest(2000, step);
  const tensors = tf.memory().numTensors;
  const before = await lowest(4000, step);
  const after = await lowest(4000, step);
  expect(after - before).toBeLessThan(slack);
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
    steps: 800,
  });
  const draw = createRng("ids");
  const step = async (): Promise<void> => {
    const ids = Int32Array.from({ length: 4 * 32 }, () => draw.int(300));
    await trainer.step({ ids, context: 32 });
  };
  await lowest(200, step);
  const tensors = tf.memory().numTensors;
  const before = await lowest(200, step);
  const after = await lowest(400, step);
  expect(after - before).toBeLessThan(slack);
  expect(tf.memory().numTensors).toBe(tensors);
  trainer.dispose();
});
