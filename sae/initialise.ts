/**
 * @file A fresh SAE: decoder rows drawn uniformly from the unit sphere, the encoder its transpose
 * (Gao et al. 2024: tied initialisation leaves few latents dead), b_enc zero, b_dec the mean of a
 * sample of activations.
 */
import type { Rng } from "../src/engine/index.ts";
import { architectures } from "./architectures.ts";
import { setRowNorms } from "./kernels/row-norms.ts";
import { transposeInto } from "./kernels/transpose.ts";
import type { Sae, SaeConfig } from "./sae.ts";

/** An untrained SAE for activations like `sample` [n, d_in] (n ≥ 1); thresholds are zero. */
export function initialiseSae(cfg: SaeConfig, sample: Float32Array, rng: Rng): Sae {
  const { d_in, d_sae } = cfg;
  const { selects } = architectures[cfg.architecture];
  const W_dec = new Float32Array(d_sae * d_in);
  for (let at = 0; at < W_dec.length; at++) W_dec[at] = rng.normal();
  setRowNorms(W_dec, new Float32Array(d_sae).fill(1));
  const W_enc = new Float32Array(W_dec.length);
  transposeInto(W_dec, d_sae, d_in, W_enc);
  return {
    cfg,
    W_enc,
    b_enc: new Float32Array(d_sae),
    W_dec,
    b_dec: columnMeans(sample, d_in),
    threshold: selects === "above threshold" ? new Float32Array(d_sae) : null,
    ...(selects === "gate" && {
      gate: { r_mag: new Float32Array(d_sae), b_mag: new Float32Array(d_sae) },
    }),
  };
}

/** Mean of each column of `rows` [n, d], summed in f64. */
export function columnMeans(rows: Float32Array, d: number): Float32Array {
  const sum = new Float64Array(d);
  for (let at = 0; at < rows.length; at += d) {
    for (let j = 0; j < d; j++) sum[j] += rows[at + j];
  }
  const n = rows.length / d;
  return Float32Array.from(sum, (s) => s / n);
}
