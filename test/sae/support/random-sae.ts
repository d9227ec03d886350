// Random SAEs and rows, and an f64 encoder written for clarity, for tests.
import { type Sae, type SaeArchitecture, type SparseCodes, saeConfig } from "../../../sae/index.ts";
import { createRng } from "../../../src/engine/index.ts";

export interface SaeSizes {
  readonly architecture: SaeArchitecture;
  readonly d_in: number;
  readonly d_sae: number;
  readonly k: number;
}

/** Standard normal numbers named by `label`. */
export function draw(label: string | number, n: number): Float32Array {
  const rng = createRng(label);
  return Float32Array.from({ length: n }, () => rng.normal());
}

/** An SAE with unequal decoder norms and, for batchtopk, unequal positive thresholds. */
export function randomSae(sizes: SaeSizes, seed: string | number = 0): Sae {
  const { d_in, d_sae, architecture } = sizes;
  return {
    cfg: saeConfig({ ...sizes, hook_name: "blocks.0.hook_resid_post" }),
    W_enc: draw(`${seed} W_enc`, d_in * d_sae),
    b_enc: draw(`${seed} b_enc`, d_sae),
    W_dec: draw(`${seed} W_dec`, d_sae * d_in),
    b_dec: draw(`${seed} b_dec`, d_in),
    threshold:
      architecture === "batchtopk"
        ? draw(`${seed} threshold`, d_sae).map((t) => 0.2 + Math.abs(t))
        : null,
  };
}

/** Dense codes [nTokens, dSae]. */
export function dense({ nTokens, dSae, rowStart, latent, value }: SparseCodes): Float32Array {
  const out = new Float32Array(nTokens * dSae);
  for (let t = 0; t < nTokens; t++) {
    for (let p = rowStart[t]; p < rowStart[t + 1]; p++) out[t * dSae + latent[p]] = value[p];
  }
  return out;
}

/** The inference encoder in f64: dense codes [n, d_sae]. */
export function naiveEncode(sae: Sae, x: Float32Array): Float64Array {
  const { d_in, d_sae, k } = sae.cfg;
  const n = x.length / d_in;
  const out = new Float64Array(n * d_sae);
  for (let t = 0; t < n; t++) {
    const pre = Array.from({ length: d_sae }, (_, i) => {
      let sum = sae.b_enc[i];
      for (let j = 0; j < d_in; j++) {
        sum += (x[t * d_in + j] - sae.b_dec[j]) * sae.W_enc[j * d_sae + i];
      }
      return sum;
    });
    const kth = [...pre].sort((a, b) => b - a)[Math.min(k, d_sae) - 1];
    pre.forEach((value, i) => {
      const kept = sae.threshold ? value > sae.threshold[i] : value >= kth;
      if (kept && value > 0) out[t * d_sae + i] = value;
    });
  }
  return out;
}

/** The decoder in f64 on dense codes: [n, d_in]. */
export function naiveDecode(sae: Sae, codes: ArrayLike<number>): Float64Array {
  const { d_in, d_sae } = sae.cfg;
  const out = new Float64Array((codes.length / d_sae) * d_in);
  for (let at = 0; at < out.length; at++) {
    const t = Math.floor(at / d_in);
    out[at] = sae.b_dec[at % d_in];
    for (let i = 0; i < d_sae; i++)
      out[at] += codes[t * d_sae + i] * sae.W_dec[i * d_in + (at % d_in)];
  }
  return out;
}
