// RMS norm by hand, against plain f64 loops with their finite differences, and against its composite form.
import { beforeAll, describe, expect, test } from "vitest";
import { rmsNorm, rmsNormComposite, tf, useBackend } from "../../../src/engine/index.ts";
import {
  checkedBackends,
  expectReference,
  expectSame,
  type Op,
  random,
} from "../../support/operations.ts";

const eps = 1e-2;
const fused: Op = (x, gain) => rmsNorm(x as tf.Tensor2D, gain as tf.Tensor1D, eps);
const composite: Op = (x, gain) => rmsNormComposite(x as tf.Tensor2D, gain as tf.Tensor1D, eps);

function reference(x: Float64Array, gain: Float64Array): Float64Array {
  const d = gain.length;
  return x.map((value, at) => {
    const row = x.subarray(at - (at % d), at - (at % d) + d);
    const meanSquare = row.reduce((sum, each) => sum + each * each, 0) / d;
    return (gain[at % d] * value) / Math.sqrt(meanSquare + eps);
  });
}

describe.each(checkedBackends)("on %s", (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  test("a row of 3 and 4 is divided by √12.5", async () => {
    const y = rmsNorm(tf.tensor2d([[3, 4]]), tf.tensor1d([1, 10]), 0);
    expect(await y.data()).toBeAllclose([3 / Math.sqrt(12.5), 40 / Math.sqrt(12.5)]);
  });

  test.each([
    [1, 1],
    [5, 7],
    [3, 33],
  ])("[%i, %i] and its gradients are those of the plain f64 loops", async (n, d) => {
    await expectReference(fused, reference, [random(n, d), random(d)]);
  });

  test("values and gradients are the composite's over many rows", async () => {
    await expectSame(fused, composite, [random(300, 130), random(130)], 1e-4);
  });

  test("a row of zeros stays zero, and NaN stays in its row", async () => {
    const y = rmsNorm(tf.tensor2d([0, 0, Number.NaN, 1, 1, 1], [3, 2]), tf.tensor1d([1, 1]), 1e-5);
    const values = await y.data();
    expect(values.slice(0, 2)).toBeAllclose([0, 0]);
    expect(values[2]).toBeNaN();
    expect(values.slice(4)).toBeAllclose([1, 1], { rtol: 1e-5 });
  });
});
