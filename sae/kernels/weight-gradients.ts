/**
 * @file Gradients of an SAE's weights from sparse codes. With residual r_t = target_t − Σ f W_dec,
 * loss = scale · Σ_t ‖r_t‖² and slope_p = r_t · W_dec[i, :], the chain rule gives, summed over the
 * codes p = (t, i) of latent i:
 *   dW_dec[i] = −2 scale Σ f_p r_t,  dW_enc[i] = −2 scale Σ slope_p x_t,  db_enc[i] = −2 scale Σ slope_p.
 * The encoder is latent-major here, so both weight gradients of a latent are one row.
 */
import type { LatentBuckets } from "./bucket.ts";
import type { CodeArrays } from "./reconstruct.ts";

/** Gradients shaped as the weights they belong to, encoder latent-major. */
export interface WeightGradients {
  readonly W_enc: Float32Array; // [d_sae, d_in]
  readonly b_enc: Float32Array; // [d_sae]
  readonly W_dec: Float32Array; // [d_sae, d_out]
}

/**
 * Writes (or, with `add`, adds) the gradients of every latent; latents without codes get zeros.
 * `x` is the encoder's input, b_dec subtracted where the encoder reads it so.
 */
export function weightGradients(
  codes: CodeArrays,
  buckets: LatentBuckets,
  slope: Float32Array, // [≥ nnz]
  residual: Float32Array, // [nRows, d_out]
  x: Float32Array, // [nRows, d_in]
  scale: number,
  add: boolean,
  out: WeightGradients,
): void {
  const dSae = out.b_enc.length;
  const dIn = out.W_enc.length / dSae;
  const dOut = out.W_dec.length / dSae;
  const { start, row, position } = buckets;
  const { value } = codes;
  const dec = new Float64Array(dOut);
  const enc = new Float64Array(dIn);
  const factor = -2 * scale;
  for (let i = 0; i < dSae; i++) {
    const from = start[i];
    const to = start[i + 1];
    if (from === to) {
      if (!add) {
        out.W_dec.fill(0, i * dOut, (i + 1) * dOut);
        out.W_enc.fill(0, i * dIn, (i + 1) * dIn);
        out.b_enc[i] = 0;
      }
      continue;
    }
    dec.fill(0);
    enc.fill(0);
    let bias = 0;
    let q = from;
    for (; q + 3 < to; q += 4) {
      let t0 = row[q] * dOut;
      let t1 = row[q + 1] * dOut;
      let t2 = row[q + 2] * dOut;
      let t3 = row[q + 3] * dOut;
      const f0 = value[position[q]];
      const f1 = value[position[q + 1]];
      const f2 = value[position[q + 2]];
      const f3 = value[position[q + 3]];
      for (let j = 0; j < dOut; j++) {
        dec[j] +=
          f0 * residual[t0 + j] +
          f1 * residual[t1 + j] +
          f2 * residual[t2 + j] +
          f3 * residual[t3 + j];
      }
      const s0 = slope[position[q]];
      const s1 = slope[position[q + 1]];
      const s2 = slope[position[q + 2]];
      const s3 = slope[position[q + 3]];
      bias += s0 + s1 + s2 + s3;
      t0 = row[q] * dIn;
      t1 = row[q + 1] * dIn;
      t2 = row[q + 2] * dIn;
      t3 = row[q + 3] * dIn;
      for (let j = 0; j < dIn; j++) {
        enc[j] += s0 * x[t0 + j] + s1 * x[t1 + j] + s2 * x[t2 + j] + s3 * x[t3 + j];
      }
    }
    for (; q < to; q++) {
      const f = value[position[q]];
      const s = slope[position[q]];
      bias += s;
      for (let j = 0; j < dOut; j++) dec[j] += f * residual[row[q] * dOut + j];
      for (let j = 0; j < dIn; j++) enc[j] += s * x[row[q] * dIn + j];
    }
    put(dec, factor, add, out.W_dec, i * dOut);
    put(enc, factor, add, out.W_enc, i * dIn);
    out.b_enc[i] = factor * bias + (add ? out.b_enc[i] : 0);
  }
}

/** Writes (or, with `add`, adds) factor · sums to `out` from `at` on. */
function put(
  sums: Float64Array,
  factor: number,
  add: boolean,
  out: Float32Array,
  at: number,
): void {
  if (add) for (let j = 0; j < sums.length; j++) out[at + j] += factor * sums[j];
  else for (let j = 0; j < sums.length; j++) out[at + j] = factor * sums[j];
}

/**
 * db_dec [d_out] = −2 scale Σ_t r_t − Σ_i db_enc[i] W_enc[i, :]: the decoder's share, over every residual that
 * b_dec is part of, and the encoder's through the subtraction of b_dec, null where it reads its input whole.
 */
export function decoderBiasGradient(
  residuals: readonly Float32Array[], // [nRows, d_out] each
  encoder: {
    readonly W_enc: Float32Array; // [d_sae, d_in], latent-major
    readonly b_enc: Float32Array; // its gradient [d_sae]
  } | null,
  scale: number,
  out: Float32Array, // [d_out]
): void {
  const d = out.length;
  const sum = new Float64Array(d);
  const factor = -2 * scale;
  for (const residual of residuals) {
    for (let at = 0; at < residual.length; at += d) {
      for (let j = 0; j < d; j++) sum[j] += residual[at + j];
    }
  }
  for (let j = 0; j < d; j++) sum[j] *= factor;
  encoder?.b_enc.forEach((g, i) => {
    if (g === 0) return;
    const at = i * d;
    for (let j = 0; j < d; j++) sum[j] -= g * encoder.W_enc[at + j];
  });
  for (let j = 0; j < d; j++) out[j] = sum[j];
}
