// Random SAEs and rows, and an f64 encoder written for clarity, for tests.
import {
  architectures,
  type Sae,
  type SaeArchitecture,
  type SparseCodes,
  saeConfig,
} from "../../../sae/index.ts";
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

/**
 * An SAE with unequal decoder norms and, where its architecture has them, unequal thresholds or gates. A width that
 * matters to none of it is ignored, so that one set of sizes makes every architecture.
 */
export function randomSae({ k, ...sizes }: SaeSizes, seed: string | number = 0): Sae {
  const { d_in, d_sae, architecture } = sizes;
  const traits = architectures[architecture];
  const thresholds =
    architecture === "standard"
      ? new Float32Array(d_sae)
      : draw(`${seed} threshold`, d_sae).map((t) => 0.2 + Math.abs(t));
  return {
    cfg: saeConfig({
      ...sizes,
      k: traits.k === "none" ? null : k,
      matryoshka_widths:
        architecture === "matryoshka_batchtopk"
          ? [...(d_sae > 1 ? [Math.ceil(d_sae / 2)] : []), d_sae]
          : null,
      hook_name: "blocks.0.hook_resid_post",
    }),
    W_enc: draw(`${seed} W_enc`, d_in * d_sae),
    b_enc: draw(`${seed} b_enc`, d_sae),
    W_dec: draw(`${seed} W_dec`, d_sae * d_in),
    b_dec: draw(`${seed} b_dec`, d_in),
    threshold: traits.selects === "above threshold" ? thresholds : null,
    ...(traits.selects === "gate" && {
      gate: {
        r_mag: draw(`${seed} r_mag`, d_sae).map((r) => r / 3),
        b_mag: draw(`${seed} b_mag`, d_sae),
      },
    }),
  };
}

/** A random SAE of the scale of activations x [n, d_in], with about a fifth of its 30 latents on a token. */
export function fittedSae(
  architecture: SaeArchitecture,
  hook_name: string,
  x: Float32Array,
  n: number,
): Sae {
  const d_in = x.length / n;
  const sae = randomSae({ architecture, d_in, d_sae: 30, k: 6 }, `${architecture} ${hook_name}`);
  const spread = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length);
  return {
    ...sae,
    cfg: { ...sae.cfg, hook_name },
    W_enc: sae.W_enc.map((w) => w / (spread * Math.sqrt(d_in))),
    W_dec: sae.W_dec.map((w) => (w * spread) / 4),
    b_dec: sae.b_dec.map((b) => (b * spread) / 4),
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

/** A latent's code from its pre-activation, before the last ReLU: each architecture as its paper has it. */
function codeOf({ threshold, gate, b_enc }: Sae, i: number, pre: number, kth: number): number {
  if (gate) return pre > 0 ? Math.exp(gate.r_mag[i]) * (pre - b_enc[i]) + gate.b_mag[i] : 0;
  return (threshold ? pre > threshold[i] : pre >= kth) ? pre : 0;
}

/** The inference encoder in f64: dense codes [n, d_sae]. */
export function naiveEncode(sae: Sae, x: Float32Array): Float64Array {
  const { d_in, d_sae, k, apply_b_dec_to_input } = sae.cfg;
  const n = x.length / d_in;
  const out = new Float64Array(n * d_sae);
  for (let t = 0; t < n; t++) {
    const pre = Array.from({ length: d_sae }, (_, i) => {
      let sum = sae.b_enc[i];
      for (let j = 0; j < d_in; j++) {
        const read = x[t * d_in + j] - (apply_b_dec_to_input ? sae.b_dec[j] : 0);
        sum += read * sae.W_enc[j * d_sae + i];
      }
      return sum;
    });
    const kth = [...pre].sort((a, b) => b - a)[Math.min(k ?? d_sae, d_sae) - 1];
    pre.forEach((value, i) => {
      out[t * d_sae + i] = Math.max(0, codeOf(sae, i, value, kth));
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
