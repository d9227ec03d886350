// The native addon's kernels against the plain loops at odd sizes, its TensorFlow.js kernels against `cpu`, and training against wasm.
import { afterAll, describe, expect } from "vitest";
import type { HeadArrays } from "../../src/engine/host/causal-attention.ts";
import { hostKernels, plainKernels } from "../../src/engine/host/kernels.ts";
import { createRng, rotary, tf, useBackend } from "../../src/engine/index.ts";
import { createLmTrainer, gpt2Config, initGpt2, lmTrainDefaults } from "../../src/models/index.ts";
import { missingNative } from "../support/native.ts";
import { testWith } from "../support/require.ts";

const missing = await missingNative();
const native = testWith("native", missing);
const kernels = missing === undefined ? hostKernels() : plainKernels;
const rng = createRng("native");
const random = (length: number): Float32Array => Float32Array.from({ length }, () => rng.normal());

afterAll(async () => {
  await useBackend("wasm");
});

/** Runs both tables' kernel on the same inputs and compares what they wrote. */
function expectAlike(
  lengths: readonly number[],
  run: (table: typeof plainKernels, outputs: Float32Array[]) => void,
  tolerance = { rtol: 1e-4, atol: 1e-5 },
): void {
  const [got, want] = [kernels, plainKernels].map((table) => {
    const outputs = lengths.map((length) => new Float32Array(length).fill(Number.NaN));
    run(table, outputs);
    return outputs;
  });
  for (let i = 0; i < lengths.length; i++) expect(got[i]).toBeAllclose(want[i], tolerance);
}

describe("kernels equal the plain loops", () => {
  for (const [n, d] of [
    [1, 1],
    [7, 5],
    [193, 33],
    [700, 96],
  ]) {
    native(`layer norm of ${n} × ${d}, forward and backward`, async () => {
      const [x, gain, bias, dy] = [random(n * d), random(d), random(d), random(n * d)];
      expectAlike([n * d, n, n], (table, [y, mean, rstd]) =>
        table.layerNormForward(x, gain, bias, 1e-2, y, mean, rstd),
      );
      const [y, mean, rstd] = [n * d, n, n].map((length) => new Float32Array(length));
      plainKernels.layerNormForward(x, gain, bias, 1e-2, y, mean, rstd);
      for (const adds of [false, true]) {
        expectAlike(
          [n * d, d, d],
          (table, [dx, dgain, dbias]) => {
            if (adds) dx.set(y);
            table.layerNormBackward(dy, x, mean, rstd, gain, dx, dgain, dbias, adds);
          },
          { rtol: 1e-4, atol: 1e-4 },
        );
      }
    });

    native(`RMS norm of ${n} × ${d}, forward and backward`, async () => {
      const [x, gain, dy] = [random(n * d), random(d), random(n * d)];
      expectAlike([n * d, n], (table, [y, rstd]) => table.rmsNormForward(x, gain, 1e-2, y, rstd));
      const [y, rstd] = [n * d, n].map((length) => new Float32Array(length));
      plainKernels.rmsNormForward(x, gain, 1e-2, y, rstd);
      for (const adds of [false, true]) {
        expectAlike(
          [n * d, d],
          (table, [dx, dgain]) => {
            if (adds) dx.set(y);
            table.rmsNormBackward(dy, x, rstd, gain, dx, dgain, adds);
          },
          { rtol: 1e-4, atol: 1e-4 },
        );
      }
    });
  }

  for (const n of [1, 17, 40_001]) {
    native(`activations, AdamW and the sum of squares of ${n} numbers`, async () => {
      const [x, dy, m] = [random(n), random(n), random(n)];
      const v = random(n).map(Math.abs);
      expectAlike([n], (table, [y]) => table.geluForward(x, y));
      expectAlike([n], (table, [dx]) => table.geluBackward(dy, x, dx));
      expectAlike([n], (table, [y]) => table.geluErfForward(x, y));
      expectAlike([n], (table, [dx]) => table.geluErfBackward(dy, x, dx));
      expectAlike([n], (table, [y]) => table.swigluForward(x, m, y));
      expectAlike([n, n], (table, [dgate, dup]) => table.swigluBackward(dy, x, m, dgate, dup));
      expect(kernels.sumOfSquares(x) / plainKernels.sumOfSquares(x)).toBeCloseTo(1, 10);
      const numbers = {
        lr: 0.01,
        beta1: 0.9,
        beta2: 0.95,
        eps: 1e-8,
        weightDecay: 0.1,
        step: 3,
        scale: 0.7,
      };
      expectAlike([n, n, n], (table, [next, mi, vi]) => {
        mi.set(m);
        vi.set(v);
        table.adamwArray(x, dy, mi, vi, next, numbers);
      });
      expectAlike([n, n, n], (table, [param, mi, vi]) => {
        param.set(x);
        mi.set(m);
        vi.set(v);
        table.adamwArray(param, dy, mi, vi, param, numbers);
      });
    });
  }

  for (const shape of [
    { batch: 1, context: 1, heads: 1, headDim: 1 },
    { batch: 3, context: 63, heads: 3, headDim: 7 },
    { batch: 2, context: 131, heads: 2, headDim: 32 },
    { batch: 2, context: 70, heads: 6, headDim: 9, kvHeads: 2, rotary: rotary(6) },
  ]) {
    const { batch, context, heads, headDim, kvHeads = heads } = shape;
    native(
      `attention of ${batch} × ${context} × ${heads} over ${kvHeads} × ${headDim}`,
      async () => {
        const [wide, narrow] = [heads, kvHeads].map((count) => batch * context * count * headDim);
        const dz = random(wide);
        const kept = [wide, batch * heads * context];
        for (const lengths of [[wide, narrow, narrow], [wide + 2 * narrow]]) {
          const operands = lengths.map(random) as unknown as HeadArrays;
          expectAlike(kept, (table, [z, lse]) => table.attentionForward(operands, shape, z, lse));
          const [z, lse] = kept.map((length) => new Float32Array(length));
          plainKernels.attentionForward(operands, shape, z, lse);
          expectAlike(lengths, (table, outputs) =>
            table.attentionBackward(dz, z, operands, lse, shape, outputs as unknown as HeadArrays),
          );
        }
      },
    );
  }

  for (const [n, vocab] of [
    [1, 1],
    [5, 33],
    [67, 1001],
  ]) {
    native(`cross-entropy of ${n} × ${vocab}, the embedding and its gradient`, async () => {
      const logits = random(n * vocab).map((x) => 9 * x);
      const targets = Int32Array.from({ length: n }, () => rng.int(vocab));
      expectAlike([n], (table, [loss]) => table.softmaxLoss(logits, targets, vocab, loss));
      expectAlike([n, n * vocab], (table, [loss, grad]) => {
        grad.set(logits);
        table.softmaxLossInPlace(grad, targets, vocab, 1 / n, loss);
      });
      const dy = random(n * 9);
      const rows = random(vocab * 9);
      expectAlike([n * 9], (table, [out]) => table.embeddingForward(rows, targets, 9, out));
      for (const adds of [false, true]) {
        expectAlike([vocab * 9], (table, [sum]) => {
          if (adds) sum.set(rows);
          table.embeddingBackward(dy, targets, 9, sum, adds);
        });
      }
    });
  }

  native("an output on top of an input is refused", async () => {
    const x = random(8);
    expect(() => kernels.geluForward(x, x)).toThrow(/overlaps/);
    expect(() => kernels.geluForward(x, new Float32Array(7))).toThrow();
  });
});

describe("TensorFlow.js kernels equal those of cpu", () => {
  type Case = readonly [title: string, shapes: number[][], op: (...x: tf.Tensor[]) => tf.Tensor];
  const cases: readonly Case[] = [
    [
      "a product",
      [
        [7, 5],
        [5, 3],
      ],
      (a, b) => tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D),
    ],
    [
      "a product of transposes",
      [
        [33, 70],
        [65, 33],
      ],
      (a, b) => tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D, true, true),
    ],
    [
      "a batched product",
      [
        [2, 3, 7, 5],
        [2, 3, 5, 4],
      ],
      (a, b) => tf.matMul(a, b),
    ],
    [
      "a product with a shared operand",
      [
        [3, 7, 5],
        [1, 5, 4],
      ],
      (a, b) => tf.matMul(a, b),
    ],
    [
      "a product broadcast both ways",
      [
        [2, 1, 7, 5],
        [1, 3, 5, 4],
      ],
      (a, b) => tf.matMul(a, b),
    ],
    ["a transpose", [[130, 37]], (a) => tf.transpose(a)],
    ["a transpose of four dimensions", [[2, 3, 4, 5]], (a) => tf.transpose(a, [0, 2, 1, 3])],
    ["a transpose that keeps long rows", [[3, 4, 5, 40]], (a) => tf.transpose(a, [2, 0, 1, 3])],
    ["a transpose of nothing", [[3, 0, 2]], (a) => tf.transpose(a, [2, 0, 1])],
    ["a slice of inner rows", [[4, 7, 30]], (a) => tf.slice(a, [1, 2, 0], [2, 4, -1])],
    ["a slice of columns", [[9, 7]], (a) => tf.slice(a, [0, 3], [-1, 3])],
    ["a slice of everything", [[9, 7]], (a) => tf.slice(a, [0, 0], [9, 7])],
    ["a slice of nothing", [[9, 7]], (a) => tf.slice(a, [2, 3], [0, 4])],
    [
      "a concatenation of columns",
      [
        [5, 3],
        [5, 40],
      ],
      (a, b) => tf.concat([a, b], 1),
    ],
    [
      "a concatenation with an empty part",
      [
        [5, 3],
        [0, 3],
      ],
      (a, b) => tf.concat([a, b], 0),
    ],
    ["rows gathered", [[9, 33]], (a) => tf.gather(a, tf.tensor2d([0, 8, 3, 3], [2, 2], "int32"))],
    ["columns gathered", [[9, 7]], (a) => tf.gather(a, tf.tensor1d([6, 0], "int32"), 1)],
    ["a sum with a row", [[300, 130], [130]], (a, b) => tf.add(a, b)],
    [
      "a sum with a column",
      [
        [30, 13],
        [30, 1],
      ],
      (a, b) => tf.add(a, b),
    ],
    ["a row minus a matrix", [[13], [30, 13]], (a, b) => tf.sub(a, b)],
    [
      "a difference",
      [
        [300, 130],
        [300, 130],
      ],
      (a, b) => tf.sub(a, b),
    ],
    ["a product with a number", [[], [300, 130]], (a, b) => tf.mul(a, b)],
    [
      "a column minus a matrix",
      [
        [30, 1],
        [30, 13],
      ],
      (a, b) => tf.sub(a, b),
    ],
    [
      "a matrix over a column",
      [
        [30, 13],
        [30, 1],
      ],
      (a, b) => tf.div(a, tf.add(tf.abs(b), 1)),
    ],
    [
      "a column times a cube",
      [
        [5, 1, 1],
        [5, 7, 9],
      ],
      (a, b) => tf.mul(a, b),
    ],
    [
      "an inner axis broadcast",
      [
        [5, 7, 9],
        [5, 1, 9],
      ],
      (a, b) => tf.sub(a, b),
    ],
    [
      "a row with a column",
      [
        [1, 9],
        [7, 1],
      ],
      (a, b) => tf.add(a, b),
    ],
    ["a scalar of higher rank", [[13], [1, 1, 1]], (a, b) => tf.sub(a, b)],
    [
      "the larger and the smaller",
      [[30, 13], [13]],
      (a, b) => tf.sub(tf.maximum(a, b), tf.minimum(b, a)),
    ],
    [
      "a squared difference",
      [
        [30, 13],
        [30, 13],
      ],
      (a, b) => tf.squaredDifference(a, b),
    ],
    [
      "functions of one number",
      [[300, 130]],
      (a) =>
        tf.stack([
          tf.abs(a),
          tf.exp(a),
          tf.log(tf.add(tf.abs(a), 1)),
          tf.neg(a),
          tf.relu(a),
          tf.sigmoid(a),
          tf.square(a),
          tf.tanh(a),
          tf.sqrt(tf.abs(a)),
          tf.rsqrt(tf.add(tf.abs(a), 1)),
          tf.reciprocal(tf.add(tf.abs(a), 1)),
        ]),
    ],
    [
      "means, largest and smallest of rows",
      [[300, 130]],
      (a) => tf.stack([tf.mean(a, 1), tf.max(a, 1), tf.min(a, -1)]),
    ],
    ["a mean over rows", [[300, 130]], (a) => tf.mean(a, 0)],
    ["a sum over two last axes", [[4, 5, 6]], (a) => tf.sum(a, [2, 1], true)],
    ["a sum over a middle axis", [[4, 5, 6]], (a) => tf.sum(a, 1)],
    ["a softmax", [[30, 130]], (a) => tf.softmax(tf.mul(a, 9) as tf.Tensor2D)],
    [
      "maxima with NaN in them",
      [[4, 30]],
      (a) => {
        const spoilt = tf.concat([a, tf.fill([4, 1], Number.NaN)], 1);
        return tf.stack([tf.cast(tf.isNaN(tf.max(spoilt, 1)), "float32"), tf.max(a, 1)]);
      },
    ],
    ["a sum over rows", [[1000, 130]], (a) => tf.sum(a, 0)],
    ["a sum over the last axis", [[10, 13]], (a) => tf.sum(a, 1, true)],
    ["a sum over everything", [[10, 13]], (a) => tf.sum(a)],
    ["a sum of a scalar", [[]], (a) => tf.sum(a)],
    ["an empty sum", [[0, 3]], (a) => tf.sum(a, 0)],
  ];
  for (const [title, shapes, op] of cases) {
    native(title, async () => {
      const inputs = shapes.map((shape) => random(shape.reduce((a, b) => a * b, 1)));
      const run = async (backend: "native" | "cpu"): Promise<tf.Tensor> => {
        await useBackend(backend);
        return op(...inputs.map((values, i) => tf.tensor(values.slice(), shapes[i])));
      };
      const want = await run("cpu");
      const wanted = await want.data();
      const got = await run("native");
      expect(got.shape).toEqual(want.shape);
      expect(await got.data()).toBeAllclose(wanted, { rtol: 1e-4, atol: 1e-5 });
    });
  }

  native("what was read of a tensor, or sliced from it, outlives it", async () => {
    await useBackend("native");
    const make = (): tf.Tensor2D => tf.add(tf.zeros([64, 64]), 1);
    const [read, sliced] = [make(), make()];
    const values = await read.data();
    const slice = tf.slice(sliced, [1, 0], [2, -1]);
    const reshaped = tf.reshape(make(), [4096]);
    tf.dispose([read, sliced]);
    const others = [2, 3, 4, 5].map((by) => tf.mul(tf.zeros([64, 64]), by));
    const more = others.map((x) => tf.add(x, 7));
    expect(values).toBeAllclose(Array(4096).fill(1));
    expect(await slice.data()).toBeAllclose(Array(128).fill(1));
    expect(await reshaped.data()).toBeAllclose(Array(4096).fill(1));
    tf.dispose([slice, reshaped, ...others, ...more]);
  });
});

async function losses(backend: "wasm" | "native", threads?: number): Promise<number[]> {
  await useBackend(backend, { threads });
  const config = gpt2Config({
    vocab_size: 300,
    n_positions: 70,
    n_embd: 48,
    n_layer: 2,
    n_head: 3,
  });
  const trainer = createLmTrainer(initGpt2(config, createRng("native")), {
    ...lmTrainDefaults,
    steps: 8,
  });
  const draw = createRng("ids");
  const ids = Int32Array.from({ length: 8 * 70 }, () => draw.int(300));
  const figures: number[] = [];
  for (let i = 0; i < 8; i++) {
    const { loss, gradNorm } = await trainer.step({ ids, context: 70 });
    figures.push(loss, gradNorm);
  }
  trainer.dispose();
  return figures;
}

describe("training", () => {
  native("goes as on wasm", async () => {
    expect(await losses("native")).toBeAllclose(await losses("wasm"), { rtol: 1e-4 });
  });

  native("gives the same bits for any number of threads", async () => {
    const one = await losses("native", 1);
    for (const threads of [1, 2, 3]) expect(await losses("native", threads)).toEqual(one);
  });

  native("large products have the same bits for any number of threads", async () => {
    for (const [m, k, n] of [
      [33, 1001, 77],
      [1024, 512, 96],
      [50, 5000, 50],
      [5, 7, 30_001],
    ]) {
      const [a, b] = [random(m * k), random(k * n)];
      const product = async (threads: number): Promise<ArrayLike<number>> => {
        await useBackend("native", { threads });
        return tf.matMul(tf.tensor2d(a, [m, k]), tf.tensor2d(b, [k, n])).data();
      };
      const one = await product(1);
      for (const threads of [2, 3, 4]) expect(await product(threads)).toEqual(one);
    }
  });
});
