// Checks of a differentiable operation: against another form of it, against finite differences, against plain f64 loops.
import { expect } from "vitest";
import { type BackendName, createRng, type Rng, tf } from "../../src/engine/index.ts";
import { testBackend } from "./backend.ts";
import { missingNative } from "./native.ts";

/** Where the numbers of these checks come from. */
export const rng: Rng = createRng("operations");
/** A tensor of standard normal numbers. */
export const random = (...shape: number[]): tf.Tensor =>
  tf.tensor(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => rng.normal()),
    shape,
  );

/** An operation on tensors. */
export type Op = (...inputs: tf.Tensor[]) => tf.Tensor;

/** Values and gradients (of Σ weights·output) of two forms of an operation agree. */
export async function expectSame(
  fused: Op,
  composite: Op,
  inputs: tf.Tensor[],
  atol = 2e-5,
): Promise<void> {
  const probe = fused(...inputs);
  const weights = random(...probe.shape);
  const run = (op: Op): { value: tf.Scalar; grads: tf.Tensor[] } =>
    tf.valueAndGrads((...xs: tf.Tensor[]) => tf.sum(tf.mul(op(...xs), weights)) as tf.Scalar)(
      inputs,
    );
  const [a, b] = [run(fused), run(composite)];
  expect(await fused(...inputs).data()).toBeAllclose(await composite(...inputs).data(), {
    rtol: 1e-4,
    atol,
  });
  for (let i = 0; i < inputs.length; i++) {
    expect(await a.grads[i].data()).toBeAllclose(await b.grads[i].data(), {
      rtol: 1e-3,
      atol: atol * 5,
    });
  }
}

/** The gradient of Σ weights·output, against central differences of the operation itself at a few places. */
export async function expectGradient(op: Op, inputs: tf.Tensor[], step = 1e-2): Promise<void> {
  const weights = random(...op(...inputs).shape);
  const f = (xs: tf.Tensor[]): number =>
    (tf.sum(tf.mul(op(...xs), weights)) as tf.Scalar).dataSync()[0];
  const { grads } = tf.valueAndGrads(
    (...xs: tf.Tensor[]) => tf.sum(tf.mul(op(...xs), weights)) as tf.Scalar,
  )(inputs);
  for (const [i, input] of inputs.entries()) {
    const grad = await grads[i].data();
    const values = await input.data();
    for (let probe = 0; probe < 4; probe++) {
      const at = rng.int(values.length);
      const moved = (by: number): number => {
        const copy = Float32Array.from(values as Float32Array);
        copy[at] += by;
        return f(inputs.map((x, j) => (j === i ? tf.tensor(copy, input.shape) : x)));
      };
      const slope = (moved(step) - moved(-step)) / (2 * step);
      expect(Math.abs(grad[at] - slope)).toBeLessThan(0.02 * (1 + Math.abs(slope)));
    }
  }
}

/** Plain f64 loops: inputs as arrays, one array out. */
export type Reference = (...inputs: Float64Array[]) => Float64Array;

/** Values against the reference, and gradients of Σ weights·output against its central differences, every number of them. */
export async function expectReference(
  op: Op,
  reference: Reference,
  inputs: tf.Tensor[],
  { rtol = 2e-4, atol = 2e-5 }: { rtol?: number; atol?: number } = {},
): Promise<void> {
  const exact = await Promise.all(
    inputs.map(async (x) => Float64Array.from((await x.data()) as Float32Array)),
  );
  const y = op(...inputs);
  expect(await y.data()).toBeAllclose(reference(...exact), { rtol, atol });
  const weights = random(...y.shape);
  const factors = await weights.data();
  const loss = (...xs: Float64Array[]): number =>
    reference(...xs).reduce((sum, value, i) => sum + value * factors[i], 0);
  const { grads } = tf.valueAndGrads(
    (...xs: tf.Tensor[]) => tf.sum(tf.mul(op(...xs), weights)) as tf.Scalar,
  )(inputs);
  for (const [i, x] of exact.entries()) {
    const step = 1e-5;
    const slopes = x.map((value, at) => {
      const moved = [step, -step].map((by) => {
        x[at] = value + by;
        return loss(...exact);
      });
      x[at] = value;
      return (moved[0] - moved[1]) / (2 * step);
    });
    expect(await grads[i].data()).toBeAllclose(slopes, { rtol, atol: 5 * atol });
  }
}

/** The backends whose operations are checked here: that of the test run, and `native` where it is built. */
export const checkedBackends: readonly BackendName[] = [
  ...new Set<BackendName>([
    ...((await missingNative()) === undefined ? (["native"] as const) : []),
    "wasm",
    "cpu",
    testBackend,
  ]),
];
