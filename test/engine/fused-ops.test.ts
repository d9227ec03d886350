// Fused operations against their composite forms (values and gradients), against finite differences, and by hand.
import { beforeAll, describe, expect, test } from "vitest";
import {
  attentionComposite,
  attentionPattern,
  causalAttention,
  crossEntropy,
  embedding,
  embeddingComposite,
  gelu,
  geluComposite,
  layerNorm,
  layerNormComposite,
  linear,
  tf,
  tokenLoss,
  tokenLossComposite,
  useBackend,
} from "../../src/engine/index.ts";
import {
  checkedBackends,
  expectGradient,
  expectSame,
  type Op,
  random,
  rng,
} from "../support/operations.ts";

describe.each(checkedBackends)("on %s", (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  test("linear is x·w + b, and its gradients are those of matMul", async () => {
    const y = linear(
      tf.tensor2d([[1, 2]]),
      tf.tensor2d([
        [3, 4, 5],
        [6, 7, 8],
      ]),
      tf.tensor1d([0.5, 0, -1]),
    );
    expect(await y.data()).toBeAllclose([15.5, 18, 20]);
    const composite: Op = (x, w, b) => tf.add(tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D), b);
    await expectSame(linear as unknown as Op, composite, [random(7, 5), random(5, 3), random(3)]);
  });

  test.each([[[7, 5, 3]], [[1, 1, 1]], [[130, 33, 65]]])(
    "linear by weights that lie transposed is x·wᵀ + b, with and without b: %j",
    async ([n, din, dout]) => {
      const inputs = [random(n, din), random(dout, din), random(dout)];
      const composite: Op = (x, w) => tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D, false, true);
      const fused: Op = (x, w, b) =>
        linear(x as tf.Tensor2D, w as tf.Tensor2D, b as tf.Tensor1D | undefined, {
          transposed: true,
        });
      await expectSame(fused, (x, w, b) => tf.add(composite(x, w), b), inputs, 1e-4);
      await expectSame(fused, composite, inputs.slice(0, 2), 1e-4);
    },
  );

  test("layerNorm gives rows of mean 0 and variance 1 before gain and bias", async () => {
    const y = layerNorm(tf.tensor2d([[1, 3]]), tf.tensor1d([2, 2]), tf.tensor1d([0, 1]), 0);
    expect(await y.data()).toBeAllclose([-2, 3]);
  });

  test.each([
    [1, 1],
    [5, 7],
    [3, 64],
  ])(
    "layerNorm of [%i, %i] equals its composite, and its gradient the finite differences",
    async (n, d) => {
      const inputs = [random(n, d), random(d), random(d)];
      const fused: Op = (x, g, b) =>
        layerNorm(x as tf.Tensor2D, g as tf.Tensor1D, b as tf.Tensor1D, 1e-2);
      const composite: Op = (x, g, b) =>
        layerNormComposite(x as tf.Tensor2D, g as tf.Tensor1D, b as tf.Tensor1D, 1e-2);
      await expectSame(fused, composite, inputs);
      if (d > 1) await expectGradient(fused, inputs);
    },
  );

  test("gelu is x/2·(1 + tanh(√(2/π)(x + 0.044715x³))), saturates at both ends and keeps NaN", async () => {
    expect(await gelu(tf.tensor1d([0, 1, -1, 100, -100])).data()).toBeAllclose(
      [0, 0.841192, -0.158808, 100, 0],
      { atol: 1e-5 },
    );
    expect((await gelu(tf.tensor1d([Number.NaN])).data())[0]).toBeNaN();
    await expectSame(gelu as Op, geluComposite as Op, [random(3, 11)]);
    await expectGradient(gelu as Op, [random(3, 4)]);
  });

  test.each([
    { batch: 1, context: 1, heads: 1, headDim: 1 },
    { batch: 2, context: 5, heads: 3, headDim: 3 },
    { batch: 2, context: 9, heads: 2, headDim: 8 },
  ])(
    "causalAttention of $batch × $context × $heads × $headDim equals its composite",
    async (shape) => {
      const qkv = random(shape.batch * shape.context, 3 * shape.heads * shape.headDim);
      const fused: Op = (x) => causalAttention(x as tf.Tensor2D, shape);
      await expectSame(fused, (x) => attentionComposite(x as tf.Tensor2D, shape), [qkv]);
      await expectGradient(fused, [qkv]);
    },
  );

  test("attention never looks ahead, and its pattern's rows sum to one", async () => {
    const shape = { batch: 1, context: 4, heads: 2, headDim: 3 };
    const qkv = random(4, 18);
    const changed = tf.add(
      qkv,
      tf.tensor2d(Array.from({ length: 4 }, (_, t) => Array(18).fill(t === 3 ? 9 : 0))),
    );
    const [a, b] = await Promise.all(
      [qkv, changed].map((x) => causalAttention(x as tf.Tensor2D, shape).data()),
    );
    expect(a.slice(0, 18)).toBeAllclose(b.slice(0, 18), { rtol: 0, atol: 0 });
    const sums = tf.sum(attentionPattern(qkv as tf.Tensor2D, shape), 3);
    expect(await sums.data()).toBeAllclose(Array(8).fill(1));
  });

  test("embedding takes rows and adds up the gradients of repeated ids", async () => {
    const ids = Int32Array.of(2, 0, 2);
    const table = random(4, 3) as tf.Tensor2D;
    const fused: Op = (x) => embedding(x as tf.Tensor2D, ids);
    await expectSame(fused, (x) => embeddingComposite(x as tf.Tensor2D, ids), [table]);
    expect(() => embedding(table, Int32Array.of(4))).toThrow(/outside/);
  });

  test("crossEntropy of uniform logits is log V", async () => {
    const loss = crossEntropy(tf.zeros([2, 3]), random(10, 3) as tf.Tensor2D, Int32Array.of(1, 9));
    expect((await loss.data())[0]).toBeCloseTo(Math.log(10), 5);
  });

  test("crossEntropy equals the mean of its composite, gradients too, and tokenLoss its rows", async () => {
    const targets = Int32Array.of(0, 5, 2, 2, 6);
    const hidden = random(5, 4) as tf.Tensor2D;
    const table = random(7, 4) as tf.Tensor2D;
    await expectSame(
      (h, u) => crossEntropy(h as tf.Tensor2D, u as tf.Tensor2D, targets),
      (h, u) => tf.mean(tokenLossComposite(h as tf.Tensor2D, u as tf.Tensor2D, targets)),
      [hidden, table],
    );
    expect(await tokenLoss(hidden, table, targets)).toBeAllclose(
      await tokenLossComposite(hidden, table, targets).data(),
      { rtol: 1e-5 },
    );
  });

  test("crossEntropy works through chunks when n·V is large", async () => {
    const [n, vocab] = [300, 20_000];
    const targets = Int32Array.from({ length: n }, () => rng.int(vocab));
    const hidden = random(n, 2) as tf.Tensor2D;
    const table = random(vocab, 2) as tf.Tensor2D;
    await expectSame(
      (h, u) => crossEntropy(h as tf.Tensor2D, u as tf.Tensor2D, targets),
      (h, u) => tf.mean(tokenLossComposite(h as tf.Tensor2D, u as tf.Tensor2D, targets)),
      [hidden, table],
    );
  });
});

test("a bias that was reshaped out of more dimensions is added as it is", async () => {
  await useBackend("wasm");
  const x = tf.tensor2d([1, 2, 3, 4], [2, 2]);
  const w = tf.tensor2d([1, 0, 0, 1, 1, 1, 2, 0], [4, 2]);
  const bias = tf.reshape(tf.tensor3d([10, 20, 30, 40], [2, 1, 2]), [4]) as tf.Tensor1D;
  const y = linear(x, w, bias, { transposed: true });
  expect([...y.dataSync()]).toEqual([11, 22, 33, 42, 13, 24, 37, 46]);
  tf.dispose([x, w, bias, y]);
});
