// Our walk over the tape against TensorFlow.js's own, and what it leaves behind.
import { beforeAll, describe, expect, test } from "vitest";
import {
  crossEntropy,
  embedding,
  gelu,
  layerNorm,
  linear,
  rmsNorm,
  tf,
  useBackend,
  valueAndGrads,
} from "../../src/engine/index.ts";
import { checkedBackends, random } from "../support/operations.ts";

describe.each(checkedBackends)("on %s", (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  test("the slopes of x² + 3x at 2 and of y·y are by hand", async () => {
    const [x, y] = [tf.scalar(2), tf.tensor1d([1, -2])];
    const { value, grads } = valueAndGrads(
      () => tf.add(tf.add(tf.square(x), tf.mul(x, 3)), tf.sum(tf.mul(y, y))) as tf.Scalar,
      [x, y],
    );
    expect((await value.data())[0]).toBe(15);
    expect((await grads[0].data())[0]).toBe(7);
    expect(await grads[1].data()).toBeAllclose([2, -4]);
  });

  test("a network whose values and weights are used twice gets TensorFlow.js's gradients", async () => {
    const [x, w, b] = [random(5, 4), random(4, 4), random(4)] as [
      tf.Tensor2D,
      tf.Tensor2D,
      tf.Tensor1D,
    ];
    const f = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor): tf.Scalar => {
      const weights = w as tf.Tensor2D;
      const first = gelu(linear(x as tf.Tensor2D, weights, b as tf.Tensor1D));
      const second = tf.add(first, linear(first, weights, b as tf.Tensor1D));
      return tf.mean(tf.mul(second, tf.add(first, x))) as tf.Scalar;
    };
    const want = tf.valueAndGrads(f as (...xs: tf.Tensor[]) => tf.Scalar)([x, w, b]);
    const got = valueAndGrads(() => f(x, w, b), [x, w, b]);
    expect(await got.value.data()).toBeAllclose(await want.value.data());
    for (let i = 0; i < 3; i++) {
      expect(await got.grads[i].data()).toBeAllclose(await want.grads[i].data());
    }
  });

  test("a table that is looked up twice and unembeds gets the sum of its gradients", async () => {
    const table = random(7, 3) as tf.Tensor2D;
    const f = (table: tf.Tensor): tf.Scalar => {
      const rows = table as tf.Tensor2D;
      const hidden = tf.mul(
        embedding(rows, Int32Array.of(2, 0, 2, 6)),
        embedding(rows, Int32Array.of(1, 1, 2, 5)),
      ) as tf.Tensor2D;
      return crossEntropy(hidden, rows, Int32Array.of(0, 3, 6, 2));
    };
    const want = tf.valueAndGrad(f)(table);
    const before = tf.memory().numTensors;
    const { value, grads } = valueAndGrads(() => f(table), [table]);
    expect(tf.memory().numTensors).toBe(before + 2);
    expect(await grads[0].data()).toBeAllclose(await want.grad.data());
    expect((await value.data())[0]).toBe((await want.value.data())[0]);
  });

  test("a lookup adds nothing to numbers that are another tensor's gradient too", async () => {
    const [table, other] = [random(3, 2), random(3, 2)] as tf.Tensor2D[];
    const { grads } = valueAndGrads(() => {
      const rows = embedding(table, Int32Array.of(1, 1));
      return tf.add(tf.sum(rows), tf.sum(tf.add(table, other))) as tf.Scalar;
    }, [table, other]);
    expect(await grads[0].data()).toBeAllclose([1, 1, 3, 3, 1, 1]);
    expect(await grads[1].data()).toBeAllclose([1, 1, 1, 1, 1, 1]);
  });

  test("a stream that passes by blocks with norms gets TensorFlow.js's gradients, also where two read it", async () => {
    const [x, gain, bias] = [random(5, 6), random(6), random(6)];
    const f = (x: tf.Tensor, gain: tf.Tensor, bias: tf.Tensor): tf.Scalar => {
      const [g, b] = [gain, bias] as tf.Tensor1D[];
      let stream = tf.mul(x, 2) as tf.Tensor2D;
      for (let layer = 0; layer < 3; layer++) {
        const read = gelu(layerNorm(stream, g, b, 1e-2));
        const beside = layer === 1 ? tf.square(rmsNorm(stream, g, 1e-2)) : tf.zerosLike(stream);
        stream = tf.addN([stream, read, beside]) as tf.Tensor2D;
      }
      const last = layerNorm(tf.add(stream, x) as tf.Tensor2D, g, b, 1e-2);
      return tf.mean(tf.mul(last, stream)) as tf.Scalar;
    };
    const want = tf.valueAndGrads(f as (...xs: tf.Tensor[]) => tf.Scalar)([x, gain, bias]);
    const before = tf.memory().numTensors;
    const got = valueAndGrads(() => f(x, gain, bias), [x, gain, bias]);
    expect(tf.memory().numTensors).toBe(before + 4);
    for (let i = 0; i < 3; i++) {
      expect(await got.grads[i].data()).toBeAllclose(await want.grads[i].data());
    }
  });

  test("nothing is left but the value and the gradients, after an error too", () => {
    const [x, other] = [random(3, 3), random(3, 3)];
    const before = tf.memory().numTensors;
    const { value, grads } = valueAndGrads(() => tf.sum(gelu(tf.mul(x, other))) as tf.Scalar, [x]);
    expect(tf.memory().numTensors).toBe(before + 2);
    tf.dispose([value, ...grads]);
    expect(() =>
      valueAndGrads(() => {
        gelu(x);
        throw new Error("halfway");
      }, [x]),
    ).toThrow("halfway");
    expect(() => valueAndGrads(() => tf.sum(other) as tf.Scalar, [x])).toThrow(/depend/);
    expect(tf.memory().numTensors).toBe(before);
    expect(
      (tf.valueAndGrad((y: tf.Tensor) => tf.sum(y) as tf.Scalar)(x).value as tf.Tensor).shape,
    ).toEqual([]);
  });

  test("gradients inside gradients are refused", () => {
    const x = tf.scalar(1);
    const inner = (): tf.Scalar => valueAndGrads(() => tf.square(x) as tf.Scalar, [x]).value;
    expect(() => valueAndGrads(inner, [x])).toThrow(/inside/);
  });
});
