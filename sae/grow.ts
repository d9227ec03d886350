/**
 * @file New latents for a carried SAE, out of what it fails to reconstruct on the child's activations,
 * one after the other. Each writes the direction of the residual error of one token, drawn with
 * probability proportional to its squared norm, and reads the direction that predicts the error along
 * it best (ridge). Its bias lets it fire as often as carried latents do, or less often until it does
 * not raise the error; what it reconstructs is taken from the error before the next one is drawn.
 * Decoder norms are the carried latents' median. That matters: selection compares pre-activations,
 * a smaller norm makes for larger ones, and in a run on real text 64 new latents with fitted (smaller)
 * norms were selected in place of all 512 carried ones within 200 steps. A transcoder's new latents read the
 * direction of its input that predicts the error of its output, as far as that predicts it.
 */
import { cholesky, type Rng, solveCholesky, tf } from "../src/engine/index.ts";
import { reconstruct } from "./decode.ts";
import { encodeAsync } from "./encode.ts";
import { columnMeans } from "./initialise.ts";
import { rowNorms } from "./kernels/row-norms.ts";
import { quantile, quantileOfSorted } from "./persistence/quantile.ts";
import { rowsWithoutNorm, withoutNorm } from "./runtime-norm.ts";
import type { Gate, Sae, SparseCodes } from "./sae.ts";
import { selectionOf } from "./selection.ts";
import type { ActivationSource } from "./shared-activations.ts";

/** Fewest activation rows to look at; as many as new latents where that is more. */
const sampleRows = 4096;

/** Ridge of the readout, as a share of the activations' mean variance. */
const ridge = 1e-3;

/** `sae` with `count` latents appended behind its own; reads the first batches of `source`. */
export async function growSae(
  sae: Sae,
  source: ActivationSource,
  count: number,
  rng: Rng,
): Promise<Sae> {
  if (count === 0) return sae;
  const wanted = Math.max(sampleRows, count);
  const rows = await sample(source, source.dIn, wanted);
  const { target } = source;
  const { normalize_activations: norm, d_in } = sae.cfg;
  return appendLatents(
    sae,
    rowsWithoutNorm(norm, rows, d_in),
    count,
    rng,
    target && (await sample(target, target.width, wanted)),
  );
}

/**
 * The same from activations in memory, their norms taken off where the SAE takes them off: `rows` [n, d_in], and of a transcoder its `targets` [n, d_out]. Carried latents,
 * their biases and thresholds stay as they are. Takes time in n · d_in · (d_in + count).
 */
export async function appendLatents(
  sae: Sae,
  rows: Float32Array,
  count: number,
  rng: Rng,
  targets: Float32Array = rows,
): Promise<Sae> {
  const { d_in, d_out, d_sae, apply_b_dec_to_input, hook_name_out } = sae.cfg;
  const n = rows.length / d_in;
  const inner = withoutNorm(sae);
  const x = tf.tensor2d(rows.slice(), [n, d_in]);
  const codes = await encodeAsync(inner, x);
  const residual = await reconstruct(inner, codes, x); // [n, d_out]
  x.dispose();
  for (let i = 0; i < residual.length; i++) residual[i] = targets[i] - residual[i];

  const like: CarriedFigures = {
    norm: quantile(rowNorms(sae.W_dec, d_out), 0.5) || 1,
    threshold: selectionThreshold(sae, codes),
    rate: Math.min(Math.max(codes.latent.length / n / d_sae, 1 / n), 1),
  };
  const readout = createReadout(rows, d_in);
  const total = d_sae + count;
  const centre = apply_b_dec_to_input ? sae.b_dec : undefined;
  const W_dec = new Float32Array(total * d_out);
  W_dec.set(sae.W_dec);
  const W_enc = new Float32Array(d_in * total);
  for (let j = 0; j < d_in; j++) {
    W_enc.set(sae.W_enc.subarray(j * d_sae, (j + 1) * d_sae), j * total);
  }
  const b_enc = new Float32Array(total);
  b_enc.set(sae.b_enc);
  for (let latent = d_sae; latent < total; latent++) {
    const row = drawRow(residual, d_out, rng);
    const writes = unit(residual.subarray(row * d_out, (row + 1) * d_out), rng);
    const error = dots(residual, writes);
    // what an SAE reads and writes has one scale
    const reads = hook_name_out === null ? unit(readout(error), rng) : readout(error);
    const fitted = fitBias(dots(rows, reads, centre), error, like);
    b_enc[latent] = fitted.bias;
    for (let j = 0; j < d_in; j++) W_enc[j * total + latent] = reads[j] / like.norm;
    for (let j = 0; j < d_out; j++) W_dec[latent * d_out + j] = writes[j] * like.norm;
    fitted.codes.forEach((code, i) => {
      if (code === 0) return;
      for (let j = 0; j < d_out; j++) residual[i * d_out + j] -= code * like.norm * writes[j];
    });
  }
  const threshold = sae.threshold && new Float32Array(total).fill(like.threshold);
  if (threshold && sae.threshold) threshold.set(sae.threshold);
  const { matryoshka_widths: widths } = sae.cfg;
  return {
    cfg: {
      ...sae.cfg,
      d_sae: total,
      matryoshka_widths: widths && [...widths.slice(0, -1), total],
    },
    W_enc,
    b_enc,
    W_dec,
    b_dec: sae.b_dec.slice(),
    threshold,
    ...(sae.W_skip && { W_skip: sae.W_skip.slice() }),
    ...(sae.gate && { gate: grownGate(sae.gate, b_enc) }),
  };
}

/** Magnitudes of new latents equal to their gates' pre-activations, which makes them ReLUs. */
function grownGate({ r_mag, b_mag }: Gate, b_enc: Float32Array): Gate {
  const grown = { r_mag: new Float32Array(b_enc.length), b_mag: b_enc.slice() };
  grown.r_mag.set(r_mag);
  grown.b_mag.set(b_mag);
  return grown;
}

/** What a typical carried latent is like. */
interface CarriedFigures {
  /** Median decoder norm. */
  readonly norm: number;
  /** What a pre-activation must exceed to be selected. */
  readonly threshold: number;
  /** Share of the tokens it fires on. */
  readonly rate: number;
}

/**
 * The bias and the codes of a latent whose direction reads `projection` [n] and whose direction of
 * writing has the error `error` [n]: fires at the carried rate, halved until Σ(error − norm·f)² is
 * below Σ error²; where no rate achieves that, it stays silent and is left to the AuxK loss.
 */
function fitBias(
  projection: Float64Array,
  error: Float64Array,
  { norm, threshold, rate }: CarriedFigures,
): { bias: number; codes: Float64Array } {
  const n = projection.length;
  const pre = projection.map((value) => value / norm);
  const sorted = pre.slice().sort();
  for (let share = rate; share * n >= 1; share /= 2) {
    const bias = threshold - quantileOfSorted(sorted, 1 - share);
    const codes = pre.map((value) => (value + bias > threshold ? Math.max(value + bias, 0) : 0));
    let change = 0;
    for (let i = 0; i < n; i++) change += norm * codes[i] * (norm * codes[i] - 2 * error[i]);
    if (change < 0) return { bias, codes };
  }
  return { bias: threshold - sorted[n - 1], codes: new Float64Array(n) };
}

/** The direction (Σ + λI)⁻¹ cov(x, y) that predicts values y [n] best from the rows x [n, d]. */
function createReadout(rows: Float32Array, d: number): (values: Float64Array) => Float64Array {
  const n = rows.length / d;
  const mean = columnMeans(rows, d);
  const covariance = new Float64Array(d * d); // lower half
  for (let at = 0; at < rows.length; at += d) {
    for (let i = 0; i < d; i++) {
      const centred = (rows[at + i] - mean[i]) / n;
      for (let j = 0; j <= i; j++) covariance[i * d + j] += centred * (rows[at + j] - mean[j]);
    }
  }
  let trace = 0;
  for (let i = 0; i < d; i++) trace += covariance[i * d + i];
  const lambda = (ridge * trace) / d || 1;
  for (let i = 0; i < d; i++) covariance[i * d + i] += lambda;
  const factor = cholesky(covariance, d);
  return (values) => {
    const direction = new Float64Array(d);
    for (let row = 0; row < n; row++) {
      for (let j = 0; j < d; j++) {
        direction[j] += (values[row] * (rows[row * d + j] - mean[j])) / n;
      }
    }
    solveCholesky(factor, d, direction);
    return direction;
  };
}

async function sample(
  source: Pick<ActivationSource, "batch">,
  width: number,
  wanted: number,
): Promise<Float32Array> {
  const parts: Float32Array[] = [];
  let length = 0;
  for (let step = 0; length < wanted * width; step++) {
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

/** The mean positive threshold, or for topk the mean smallest selected value. */
function selectionThreshold(sae: Sae, { nTokens, rowStart, value }: SparseCodes): number {
  const { threshold } = selectionOf(sae);
  if (threshold) return mean(threshold.filter((t) => t > 0));
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
function unit(values: Float32Array | Float64Array, rng: Rng): Float64Array {
  const direction = Float64Array.from(values);
  let length = Math.hypot(...direction);
  if (!(length > 0)) {
    for (let j = 0; j < direction.length; j++) direction[j] = rng.normal();
    length = Math.hypot(...direction);
  }
  return direction.map((value) => value / length);
}

/** (x − centre)·direction for each row. */
function dots(rows: Float32Array, direction: Float64Array, centre?: Float32Array): Float64Array {
  const d = direction.length;
  const offset = centre ? direction.reduce((sum, value, j) => sum + value * centre[j], 0) : 0;
  const out = new Float64Array(rows.length / d);
  for (let row = 0; row < out.length; row++) {
    let total = -offset;
    for (let j = 0; j < d; j++) total += rows[row * d + j] * direction[j];
    out[row] = total;
  }
  return out;
}

function mean(values: ArrayLike<number>): number {
  if (values.length === 0) return 0;
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i];
  return total / values.length;
}
