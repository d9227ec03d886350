/**
 * @file A fresh SAE: decoder rows drawn uniformly from the unit sphere, the encoder its transpose
 * (Gao et al. 2024: tied initialisation leaves few latents dead), b_enc zero, b_dec the mean of a
 * sample of activations. A fresh transcoder is sparsify's: encoder directions likewise, b_enc what centres the
 * pre-activations, the decoder and the skip connection zero, b_dec the mean of its targets.
 */
import type { Rng } from "../src/engine/index.ts";
import { architectures } from "./architectures.ts";
import { setRowNorms } from "./kernels/row-norms.ts";
import { transposed } from "./kernels/transpose.ts";
import type { Sae, SaeConfig } from "./sae.ts";

/**
 * An untrained SAE for activations like `sample` [n, d_in] (n ≥ 1), a transcoder for targets like `targets`
 * [n, d_out]; thresholds are zero.
 */
export function initialiseSae(
  cfg: SaeConfig,
  sample: Float32Array,
  rng: Rng,
  targets: Float32Array = sample,
): Sae {
  const { d_in, d_out, d_sae, hook_name_out } = cfg;
  const { selects } = architectures[cfg.architecture];
  const isTranscoder = hook_name_out !== null;
  const directions = new Float32Array(d_sae * d_in); // latent-major
  for (let at = 0; at < directions.length; at++) directions[at] = rng.normal();
  setRowNorms(directions, new Float32Array(d_sae).fill(1));
  const W_enc = transposed(directions, d_sae, d_in);
  return {
    cfg,
    W_enc,
    b_enc: isTranscoder ? centring(directions, columnMeans(sample, d_in)) : new Float32Array(d_sae),
    W_dec: isTranscoder ? new Float32Array(d_sae * d_out) : directions,
    b_dec: columnMeans(targets, d_out),
    ...(cfg.skip_connection && { W_skip: new Float32Array(d_out * d_in) }),
    threshold: selects === "above threshold" ? new Float32Array(d_sae) : null,
    ...(selects === "gate" && {
      gate: { r_mag: new Float32Array(d_sae), b_mag: new Float32Array(d_sae) },
    }),
  };
}

/** −w · mean for each row w of `directions` [d_sae, d_in]. */
function centring(directions: Float32Array, mean: Float32Array): Float32Array {
  const d = mean.length;
  return Float32Array.from({ length: directions.length / d }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < d; j++) sum -= directions[i * d + j] * mean[j];
    return sum;
  });
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
