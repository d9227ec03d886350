/**
 * @file New latents for a carried SAE, out of what it fails to reconstruct on the child's activations,
 * one after the other. Each takes the direction of the residual error of one token, drawn with
 * probability proportional to its squared norm; the encoder reads along it, with a bias that lets
 * the latent fire about as often as the carried ones do; the decoder's norm is the least-squares
 * fit to the error, which is then reduced by it, so that no latent makes the reconstruction worse.
 */
import { type Rng, tf } from "../src/engine/index.ts";
import type { ActivationSource } from "./activations.ts";
import { decode } from "./decode.ts";
import { encodeAsync } from "./encode.ts";
import { rowNorms } from "./kernels/row-norms.ts";
import type { Sae, SparseCodes } from "./sae.ts";

/** Fewest activation rows to look at; as many as new latents where that is more. */
const sampleRows = 4096;

/** Smallest decoder norm of a new latent, as a share of the carried latents' median. */
const smallestNorm = 0.1;

/** Tokens tried for a latent before one whose fit is below that is taken all the same. */
const tries = 8;

/** `sae` with `count` latents appended behind its own; reads the first batches of `source`. */
export async function growSae(
  sae: Sae,
  source: ActivationSource,
  count: number,
  rng: Rng,
): Promise<Sae> {
  if (count === 0) return sae;
  const rows = await sample(source, Math.max(sampleRows, count));
  return appendLatents(sae, rows, count, rng);
}

/**
 * The same from activations in memory, `rows` [n, d_in]. Carried latents, their biases and
 * thresholds stay as they are. Takes time in n · d_in · count.
 */
export async function appendLatents(
  sae: Sae,
  rows: Float32Array,
  count: number,
  rng: Rng,
): Promise<Sae> {
  const { d_in, d_sae } = sae.cfg;
  const n = rows.length / d_in;
  const x = tf.tensor2d(rows.slice(), [n, d_in]);
  const codes = await encodeAsync(sae, x);
  x.dispose();
  const residual = decode(sae, codes); // [n, d_in]
  for (let i = 0; i < residual.length; i++) residual[i] = rows[i] - residual[i];

  const scale = median(rowNorms(sae.W_dec, d_in)) || 1;
  const threshold = selectionThreshold(sae, codes);
  const rate = Math.min(Math.max(codes.latent.length / n / d_sae, 1 / n), 1);
  const total = d_sae + count;
  const W_dec = new Float32Array(total * d_in);
  W_dec.set(sae.W_dec);
  const W_enc = new Float32Array(d_in * total);
  for (let j = 0; j < d_in; j++) {
    W_enc.set(sae.W_enc.subarray(j * d_sae, (j + 1) * d_sae), j * total);
  }
  const b_enc = new Float32Array(total);
  b_enc.set(sae.b_enc);
  for (let latent = d_sae; latent < total; latent++) {
    const fitted = fitLatent(rows, residual, sae.b_dec, { scale, threshold, rate }, rng);
    b_enc[latent] = fitted.bias;
    for (let j = 0; j < d_in; j++) {
      W_enc[j * total + latent] = fitted.direction[j] / scale;
      W_dec[latent * d_in + j] = fitted.direction[j] * fitted.norm;
    }
    deflate(residual, fitted);
  }
  const thresholds = sae.threshold && new Float32Array(total).fill(threshold);
  if (thresholds && sae.threshold) thresholds.set(sae.threshold);
  return {
    cfg: { ...sae.cfg, d_sae: total },
    W_enc,
    b_enc,
    W_dec,
    b_dec: sae.b_dec.slice(),
    threshold: thresholds,
  };
}

interface FittedLatent {
  readonly direction: Float64Array; // [d_in], unit
  readonly bias: number;
  readonly norm: number;
  readonly codes: Float64Array; // [n], 0 where it does not fire
}

/** The best of some tries; the first whose least-squares norm is not tiny is taken at once. */
function fitLatent(
  rows: Float32Array,
  residual: Float32Array,
  centre: Float32Array,
  { scale, threshold, rate }: { scale: number; threshold: number; rate: number },
  rng: Rng,
): FittedLatent {
  const d = centre.length;
  let best: FittedLatent | undefined;
  for (let attempt = 0; attempt < tries; attempt++) {
    const row = drawRow(residual, d, rng);
    const direction = unit(residual.subarray(row * d, (row + 1) * d), rng);
    const pre = project(rows, centre, direction).map((value) => value / scale);
    const bias = threshold - quantile(pre, 1 - rate);
    const codes = pre.map((value) => (value + bias > threshold ? Math.max(value + bias, 0) : 0));
    let fit = 0;
    let power = 0;
    project(residual, new Float32Array(d), direction).forEach((error, i) => {
      fit += error * codes[i];
      power += codes[i] ** 2;
    });
    const norm = power > 0 ? fit / power : 0;
    if (best === undefined || norm > best.norm) best = { direction, bias, norm, codes };
    if (norm >= smallestNorm * scale) return best;
  }
  if (best === undefined) throw new Error("internal: no latent was tried");
  return { ...best, norm: smallestNorm * scale };
}

/** Takes what a latent reconstructs out of the residual error [n, d_in], in place. */
function deflate(residual: Float32Array, { direction, norm, codes }: FittedLatent): void {
  const d = direction.length;
  codes.forEach((code, row) => {
    if (code === 0) return;
    for (let j = 0; j < d; j++) residual[row * d + j] -= code * norm * direction[j];
  });
}

async function sample(source: ActivationSource, wanted: number): Promise<Float32Array> {
  const parts: Float32Array[] = [];
  let length = 0;
  for (let step = 0; length < wanted * source.dIn; step++) {
    const batch = await source.batch(step);
    const values = (await batch.data()).slice() as Float32Array;
    batch.dispose();
    parts.push(values);
    length += values.length;
  }
  const rows = new Float32Array(length);
  let at = 0;
  for (const part of parts) {
    rows.set(part, at);
    at += part.length;
  }
  return rows;
}

/** What a pre-activation must exceed to be selected: the mean positive threshold, or for topk the mean smallest selected value. */
function selectionThreshold(sae: Sae, { nTokens, rowStart, value }: SparseCodes): number {
  if (sae.threshold) return mean(sae.threshold.filter((t) => t > 0));
  const smallest: number[] = [];
  for (let row = 0; row < nTokens; row++) {
    const values = value.subarray(rowStart[row], rowStart[row + 1]);
    if (values.length > 0) smallest.push(values.reduce((a, b) => Math.min(a, b)));
  }
  return mean(smallest);
}

/** A row of `residual`, drawn with probability ∝ its squared norm. */
function drawRow(residual: Float32Array, d: number, rng: Rng): number {
  const n = residual.length / d;
  const upTo = new Float64Array(n);
  let total = 0;
  for (let row = 0; row < n; row++) {
    for (let j = row * d; j < (row + 1) * d; j++) total += residual[j] ** 2;
    upTo[row] = total;
  }
  const target = rng.next() * total;
  const row = upTo.findIndex((sum) => sum > target);
  return row < 0 ? rng.int(n) : row;
}

/** The direction of `values`, or a random one where they are all zero. */
function unit(values: Float32Array, rng: Rng): Float64Array {
  const direction = Float64Array.from(values);
  let length = Math.hypot(...direction);
  if (!(length > 0)) {
    for (let j = 0; j < direction.length; j++) direction[j] = rng.normal();
    length = Math.hypot(...direction);
  }
  return direction.map((value) => value / length);
}

/** (x − centre)·direction for each row. */
function project(rows: Float32Array, centre: Float32Array, direction: Float64Array): Float64Array {
  const d = direction.length;
  const out = new Float64Array(rows.length / d);
  for (let row = 0; row < out.length; row++) {
    let total = 0;
    for (let j = 0; j < d; j++) total += (rows[row * d + j] - centre[j]) * direction[j];
    out[row] = total;
  }
  return out;
}

function quantile(values: Float64Array, share: number): number {
  const sorted = values.slice().sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

function median(values: Float32Array): number {
  return quantile(Float64Array.from(values), 0.5);
}

function mean(values: ArrayLike<number>): number {
  if (values.length === 0) return 0;
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i];
  return total / values.length;
}
