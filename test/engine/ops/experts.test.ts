// Top-k gates and the sum of experts' outputs: by hand, against plain f64 loops with finite differences, and against
// the composite forms.
import { beforeAll, describe, expect, test } from "vitest";
import {
  combineRows,
  combineRowsComposite,
  tf,
  topKGates,
  topKMask,
  topKMaskComposite,
  useBackend,
} from "../../../src/engine/index.ts";
import {
  checkedBackends,
  expectReference,
  expectSame,
  type Op,
  random,
} from "../../support/operations.ts";

const width = 5;

/** p over the sum of the row's k largest, for those. */
function gatesOf(p: Float64Array, k: number): Float64Array {
  const out = new Float64Array(p.length);
  for (let row = 0; row < p.length; row += width) {
    const order = [...p.subarray(row, row + width).keys()].sort((a, b) => p[row + b] - p[row + a]);
    const chosen = order.slice(0, k);
    const total = chosen.reduce((sum, i) => sum + p[row + i], 0);
    for (const i of chosen) out[row + i] = p[row + i] / total;
  }
  return out;
}

const probabilities = (n: number): tf.Tensor2D => tf.softmax(random(n, width)) as tf.Tensor2D;

describe.each(checkedBackends)("on %s", (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  test("the two largest of each row by hand; of equal ones the lower index", async () => {
    const p = tf.tensor2d([
      [0.1, 0.6, 0.3],
      [0.4, 0.4, 0.2],
      [0.2, 0.4, 0.4],
    ]);
    expect(await topKMask(p, 2).data()).toEqual(Float32Array.of(0, 1, 1, 1, 1, 0, 0, 1, 1));
    expect(await topKGates(p, 2).data()).toBeAllclose([0, 2 / 3, 1 / 3, 0.5, 0.5, 0, 0, 0.5, 0.5]);
    const even = tf.tensor2d([[0.25, 0.25, 0.25, 0.25]]);
    expect(await topKMask(even, 2).data()).toEqual(Float32Array.of(1, 1, 0, 0));
  });

  test.each([1, 2, 5])("%i of 5: gates and gradients are those of plain f64 loops", async (k) => {
    await expectReference(
      (p) => topKGates(p as tf.Tensor2D, k),
      (p) => gatesOf(p, k),
      [probabilities(4)],
    );
  });

  test("all of one expert is a gate of 1, whatever its probability", async () => {
    const gates = await topKGates(probabilities(7), 1).data();
    expect([...gates].filter((x) => x !== 0)).toEqual(Array(7).fill(1));
  });

  test("the mask is the composite's, has no gradient, and does not rank what is not a number", async () => {
    const p = probabilities(50);
    expect(await topKMask(p, 3).data()).toEqual(await topKMaskComposite(p, 3).data());
    const slope = tf.grad((x: tf.Tensor) => tf.sum(topKMask(x as tf.Tensor2D, 3)))(p);
    expect(Math.max(...(await slope.data()).map(Math.abs))).toBe(0);
    const row = tf.tensor2d([[Number.NaN, Number.NaN, Number.NaN]]);
    expect((await topKGates(row, 2).data()).some((x) => Number.isNaN(x))).toBe(true);
    expect(() => topKMask(p, 6)).toThrow("internal: 6 of 5");
  });

  test("rows of experts are summed by their gates, in any order, one twice and one never", async () => {
    const rows = [Int32Array.of(2, 0), Int32Array.of(1, 2, 1), Int32Array.of(0)];
    const [n, d] = [4, 3];
    const reference = (...inputs: Float64Array[]): Float64Array => {
      const gates = inputs[3];
      const out = new Float64Array(n * d);
      rows.forEach((own, e) => {
        own.forEach((row, i) => {
          for (let j = 0; j < d; j++) out[row * d + j] += gates[row * 3 + e] * inputs[e][i * d + j];
        });
      });
      return out;
    };
    const op: Op = (...inputs) =>
      combineRows(inputs.slice(0, 3) as tf.Tensor2D[], rows, inputs[3] as tf.Tensor2D);
    await expectReference(op, reference, [random(2, d), random(3, d), random(1, d), random(n, 3)]);
  });

  test("experts that saw every row: values and gradients are the composite's", async () => {
    const inputs = [random(31, 7), random(31, 7), random(31, 2)];
    const split = (xs: tf.Tensor[]) => [xs.slice(0, 2), xs[2]] as [tf.Tensor2D[], tf.Tensor2D];
    await expectSame(
      (...xs) => combineRows(split(xs)[0], [null, null], split(xs)[1]),
      (...xs) => combineRowsComposite(...split(xs)),
      inputs,
    );
  });
});
