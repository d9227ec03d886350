/**
 * @file `doctor --check`: is the active backend right? Each check compares f32 results with a naive f64
 * loop, a composite form or finite differences, at odd sizes, and says how far off it came out.
 */
import {
  attentionComposite,
  causalAttention,
  createRng,
  crossEntropy,
  gelu,
  geluComposite,
  layerNorm,
  layerNormComposite,
  linear,
  tf,
} from "../../src/engine/index.ts";
import { expandModel, measureExactness, parseGrowth } from "../../src/expansion/index.ts";
import {
  forwardHidden,
  gpt2Config,
  initGpt2,
  placeModel,
  unembedding,
} from "../../src/models/index.ts";

/** One comparison. */
export interface Check {
  readonly name: string;
  readonly passed: boolean;
  /** Largest error found. */
  readonly error: number;
  readonly tolerance: number;
}

const rng = createRng("doctor");
const batch = 3;
const context = 7;
const config = gpt2Config({
  vocab_size: 31,
  n_positions: context,
  n_embd: 12,
  n_layer: 2,
  n_head: 3,
});

/** Runs every check on the active backend. */
export async function runChecks(): Promise<Check[]> {
  return [
    judge("matrix product", await productError(), 1e-5),
    judge("layer norm", await parity([5, 13], layerNorms), 1e-5),
    judge("GELU", await parity([5, 13], ([x]) => [gelu(x), geluComposite(x)]), 1e-5),
    judge("attention", await parity([batch * context, 36], attentions), 1e-5),
    judge("gradient of the model", await gradientError(), 1e-2),
    ...(await expansionChecks()),
  ];
}

function judge(name: string, error: number, tolerance: number): Check {
  return { name, passed: error <= tolerance, error, tolerance }; // NaN fails
}

// A product [17, 19]·[19, 23] and its gradient-shaped transposes, against f64.
async function productError(): Promise<number> {
  const [n, d, m] = [17, 19, 23];
  const a = random(n * d, "a");
  const b = random(d * m, "b");
  const product = tf.tidy(() => linear(tf.tensor2d(a, [n, d]), tf.tensor2d(b, [d, m])));
  const got = await product.data();
  product.dispose();
  let worst = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < m; j++) {
      let want = 0;
      for (let k = 0; k < d; k++) want += a[i * d + k] * b[k * m + j];
      worst = Math.max(worst, Math.abs(got[i * m + j] - want));
    }
  }
  return worst;
}

function layerNorms([x]: tf.Tensor2D[]): [tf.Tensor, tf.Tensor] {
  const gain = tf.tensor1d(random(13, "gain"));
  const bias = tf.tensor1d(random(13, "bias"));
  return [layerNorm(x, gain, bias, 1e-5), layerNormComposite(x, gain, bias, 1e-5)];
}

function attentions([x]: tf.Tensor2D[]): [tf.Tensor, tf.Tensor] {
  const shape = { batch, context, heads: 3, headDim: 4 };
  return [causalAttention(x, shape), attentionComposite(x, shape)];
}

async function parity(
  shape: [number, number],
  body: (inputs: tf.Tensor2D[]) => [tf.Tensor, tf.Tensor],
): Promise<number> {
  const [fused, composite] = tf.tidy(() =>
    body([tf.tensor2d(random(shape[0] * shape[1], "x"), shape)]),
  );
  const error = largestDifference(await fused.data(), await composite.data());
  tf.dispose([fused, composite]);
  return error;
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
async function expansionChecks(): Promise<Check[]> {
  const parent = initGpt2(config, rng.fork("parent"));
  const { options } = parseGrowth({ width: 20, layers: "+2" }, config);
  const { child, map } = await expandModel(parent, options, rng.fork("expand"));
  const [small, big] = [placeModel(parent), placeModel(child)];
  const exactness = await measureExactness(small, big, map, tokens().inputs, batch);
  small.dispose();
  big.dispose();
  const boundary = Math.max(...exactness.boundaries.map(({ rel_err }) => rel_err));
  return [
    judge("expansion: logits", exactness.max_abs_dlogit, 1e-4),
    judge("expansion: residual stream", boundary, 1e-5),
  ];
}

function tokens(): { inputs: Int32Array; targets: Int32Array } {
  const stream = rng.fork("tokens");
  const draw = (): Int32Array =>
    Int32Array.from({ length: batch * context }, () => stream.int(config.vocab_size));
  return { inputs: draw(), targets: draw() };
}

function random(length: number, label: string): Float32Array {
  const stream = rng.fork(label);
  return Float32Array.from({ length }, () => stream.normal());
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let worst = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i] - b[i]);
    if (!(difference <= worst)) worst = difference; // NaN is the worst
  }
  return worst;
}
