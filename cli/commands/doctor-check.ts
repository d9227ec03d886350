/**
 * @file `doctor --check`: is the active backend right? A table of checks, each of which says how far
 * f32 results came out from plain f64 loops, finite differences or an exact expansion, at odd sizes.
 */
import { AdamW, adamwDefaults, crossEntropy, tf, tokenLoss } from "../../src/engine/index.ts";
import { expandModel, measureExactness, parseGrowth } from "../../src/expansion/index.ts";
import {
  forwardHidden,
  gpt2Config,
  initGpt2,
  placeModel,
  unembedding,
} from "../../src/models/index.ts";
import { growthSumsError } from "./doctor-growth.ts";
import { largestDifference, random, rng } from "./doctor-numbers.ts";
import { type CheckedOperation, checkedOperations, tokenLosses } from "./doctor-operations.ts";
import { codesError, matchesError, stepsError } from "./doctor-sae.ts";

/** One comparison. */
export interface Check {
  readonly name: string;
  readonly passed: boolean;
  /** Largest error found. */
  readonly error: number;
  readonly tolerance: number;
}

interface Planned {
  readonly name: string;
  readonly tolerance: number;
  error(): Promise<number>;
}

const plans: readonly Planned[] = [
  ...checkedOperations.flatMap((operation): Planned[] => [
    { name: operation.name, tolerance: 2e-6, error: () => valueError(operation) },
    { name: `${operation.name}: gradient`, tolerance: 4e-6, error: () => slopeError(operation) },
  ]),
  { name: "loss of each token", tolerance: 2e-6, error: tokenLossError },
  { name: "AdamW, clipped", tolerance: 2e-6, error: adamwError },
  { name: "gradient of a model", tolerance: 1e-2, error: gradientError },
  { name: "expansion: logits", tolerance: 1e-4, error: async () => (await expansion()).logits },
  {
    name: "expansion: residual stream",
    tolerance: 1e-5,
    error: async () => (await expansion()).boundary,
  },
  { name: "expansion: sums over weights", tolerance: 2e-6, error: growthSumsError },
  { name: "SAE codes: TopK", tolerance: 1e-5, error: () => codesError("topk") },
  { name: "SAE codes: thresholds", tolerance: 1e-5, error: () => codesError("batchtopk") },
  { name: "SAE training: TopK", tolerance: 2e-5, error: () => stepsError("topk") },
  { name: "SAE training: BatchTopK", tolerance: 2e-5, error: () => stepsError("batchtopk") },
  { name: "best matches", tolerance: 2e-6, error: matchesError },
];

/** Makes one check after another on the active backend. */
export async function* runChecks(): AsyncGenerator<Check> {
  for (const { name, tolerance, error: measure } of plans) {
    const error = await measure();
    yield { name, passed: error <= tolerance, error, tolerance }; // NaN fails
  }
}

const batch = 3;
const context = 7;
const config = gpt2Config({
  vocab_size: 31,
  n_positions: context,
  n_embd: 12,
  n_layer: 2,
  n_head: 3,
});

function inputsOf({ name, shapes }: CheckedOperation): Float32Array[] {
  return shapes.map((shape, i) => random(size(shape), `${name} ${i}`));
}

async function valueError({ op, reference, ...of }: CheckedOperation): Promise<number> {
  const inputs = inputsOf({ op, reference, ...of });
  const y = tf.tidy(() => op(...inputs.map((values, i) => tensor(values, of.shapes[i]))));
  const got = await y.data();
  y.dispose();
  const want = reference(...inputs.map((values) => Float64Array.from(values)));
  return largestDifference(got, want) / scaleOf(want);
}

// Gradients of Σ weights·output against central differences of the plain loops, in f64.
async function slopeError({ op, reference, ...of }: CheckedOperation): Promise<number> {
  const inputs = inputsOf({ op, reference, ...of });
  const exact = inputs.map((values) => Float64Array.from(values));
  const weights = random(reference(...exact).length, `${of.name} weights`);
  const loss = (): number =>
    reference(...exact).reduce((sum, value, i) => sum + value * weights[i], 0);
  const grads = tf.tidy(() =>
    tf.grads((...xs: tf.Tensor[]) => {
      const y = op(...xs);
      return tf.sum(tf.mul(y, tensor(weights, y.shape)));
    })(inputs.map((values, i) => tensor(values, of.shapes[i]))),
  );
  let worst = 0;
  for (const [i, x] of exact.entries()) {
    const step = 1e-5;
    const slopes = Float64Array.from(x, (value, at) => {
      const [above, below] = [step, -step].map((by) => {
        x[at] = value + by;
        return loss();
      });
      x[at] = value;
      return (above - below) / (2 * step);
    });
    const error = largestDifference(await grads[i].data(), slopes) / scaleOf(slopes);
    worst = Math.max(worst, error); // NaN stays
  }
  tf.dispose(grads);
  return worst;
}

async function tokenLossError(): Promise<number> {
  const [n, d, vocab] = [17, 5, 31];
  const [hidden, unembed] = [random(n * d, "hidden"), random(vocab * d, "unembed")];
  const targets = Int32Array.from({ length: n }, (_, i) => (7 * i) % vocab);
  const placed = [tf.tensor2d(hidden, [n, d]), tf.tensor2d(unembed, [vocab, d])] as const;
  const got = await tokenLoss(...placed, targets);
  tf.dispose([...placed]);
  const want = tokenLosses(Float64Array.from(hidden), Float64Array.from(unembed), d, targets);
  return largestDifference(got, want) / scaleOf(want);
}

// Three steps of a matrix, which decays, and a vector, which doesn't. Their gradients are clipped together, but for
// the first step's, which are small: Adam doesn't see a factor that all of them have.
async function adamwError(): Promise<number> {
  const shapes = new Map([
    ["matrix", [5, 7]],
    ["vector", [7]],
  ]);
  const names = [...shapes.keys()];
  const lr = 0.01;
  const { beta1, beta2, eps, weightDecay, clip } = adamwDefaults;
  const start = names.map((name) => random(size(shapes.get(name) as number[]), name));
  let params = new Map(
    names.map((name, i) => [name, tensor(start[i], shapes.get(name) as number[])]),
  );
  const plain = names.map((name, i) => {
    const x = Float64Array.from(start[i]);
    return { name, x, m: new Float64Array(x.length), v: new Float64Array(x.length) };
  });
  const adam = new AdamW(params);
  let worst = 0;
  for (let step = 1; step <= 3; step++) {
    const slopes = names.map((name) =>
      random(size(shapes.get(name) as number[]), `${name} gradient ${step}`).map((g) =>
        step === 1 ? 0.05 * g : g,
      ),
    );
    const grads = new Map(
      names.map((name, i) => [name, tensor(slopes[i], shapes.get(name) as number[])]),
    );
    params = (await adam.step(params, grads, lr)).params;
    const scale = Math.min(1, clip / Math.hypot(...slopes.map((g) => Math.hypot(...g))));
    for (const [i, { name, x, m, v }] of plain.entries()) {
      const decay = name === "matrix" ? lr * weightDecay : 0;
      for (let j = 0; j < x.length; j++) {
        const g = scale * slopes[i][j];
        m[j] = beta1 * m[j] + (1 - beta1) * g;
        v[j] = beta2 * v[j] + (1 - beta2) * g * g;
        const move = m[j] / (1 - beta1 ** step) / (Math.sqrt(v[j] / (1 - beta2 ** step)) + eps);
        x[j] -= decay * x[j] + lr * move;
      }
      const error = largestDifference(await (params.get(name) as tf.Tensor).data(), x);
      worst = Math.max(worst, error); // NaN stays
    }
  }
  adam.dispose();
  tf.dispose([...params.values()]);
  return worst;
}

// Central differences of the loss along a direction v, against g·v, relative to |g||v|.
async function gradientError(): Promise<number> {
  const host = initGpt2(config, rng.fork("model"));
  const model = placeModel(host);
  const names = [...model.params.keys()];
  const { inputs, targets } = tokens();
  const loss = (...params: tf.Tensor[]): tf.Scalar => {
    const placed = { ...model, params: new Map(names.map((name, i) => [name, params[i]])) };
    return crossEntropy(forwardHidden(placed, inputs, batch), unembedding(placed), targets);
  };
  const params = [...model.params.values()];
  const grads = tf.grads((...at: tf.Tensor[]) => loss(...at))(params);
  const values = await Promise.all(grads.map((grad) => grad.data()));
  const norm = Math.hypot(...values.map((grad) => Math.hypot(...grad)));
  // Half along the gradient, half at random: the first gives size, the second direction.
  const noise = values.map((grad, i) => random(grad.length, names[i]));
  const noiseNorm = Math.hypot(...noise.map((part) => Math.hypot(...part)));
  const direction = values.map((grad, i) =>
    Float32Array.from(grad, (g, j) => g / norm + noise[i][j] / noiseNorm),
  );
  let slope = 0;
  values.forEach((grad, i) => {
    for (let j = 0; j < grad.length; j++) slope += grad[j] * direction[i][j];
  });
  const step = 1e-2;
  const at = async (scale: number): Promise<number> => {
    const value = tf.tidy(() =>
      loss(
        ...params.map((param, i) =>
          tf.add(param, tf.mul(tf.tensor(direction[i], param.shape), scale)),
        ),
      ),
    );
    const [number] = await value.data();
    value.dispose();
    return number;
  };
  const difference = ((await at(step)) - (await at(-step))) / (2 * step);
  tf.dispose(grads);
  model.dispose();
  return Math.abs(difference - slope) / norm;
}

// Width 12 → 20 (no multiple) and two more layers: exact up to rounding.
async function expansion(): Promise<{ logits: number; boundary: number }> {
  const parent = initGpt2(config, rng.fork("parent"));
  const { options } = parseGrowth({ width: 20, layers: "+2" }, config);
  const { child, map } = await expandModel(parent, options, rng.fork("expand"));
  const [small, big] = [placeModel(parent), placeModel(child)];
  const { max_abs_dlogit, boundaries } = await measureExactness(
    small,
    big,
    map,
    tokens().inputs,
    batch,
  );
  small.dispose();
  big.dispose();
  return {
    logits: max_abs_dlogit,
    boundary: Math.max(...boundaries.map(({ rel_err }) => rel_err)),
  };
}

function tokens(): { inputs: Int32Array; targets: Int32Array } {
  const stream = rng.fork("tokens");
  const draw = (): Int32Array =>
    Int32Array.from({ length: batch * context }, () => stream.int(config.vocab_size));
  return { inputs: draw(), targets: draw() };
}

function tensor(values: Float32Array, shape: readonly number[]): tf.Tensor {
  return tf.tensor(values.slice(), [...shape]);
}

function size(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** The largest number of an array, or 1 where that is less: what its errors are relative to. */
function scaleOf(values: Float64Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
}
