/**
 * @file Norms that an SAE takes off each row before it reads it and gives back to the row's reconstruction, under
 * SAELens's names and by its formulas:
 *   constant_norm_rescale   x √d / ‖x‖, and back by ‖x‖ / √d
 *   layer_norm              (x − mean x) / (std x + 1e-5), and back by std x and mean x (std with d − 1)
 * They are of one row alone, so no scale can be folded for them into the weights. Row by row the reconstruction is
 * σ (Σ f_i W_dec[i, :] + b_dec) + μ. A row without a norm gets σ 0 and reads as zeros, where SAELens makes NaN of it.
 * Transcoders have none: what they reconstruct has another scale than what they read. Sums in f64.
 */
import type { Sae } from "./sae.ts";

/** The norms of a row; `none` reads rows as they are. */
export const runtimeNorms = ["none", "constant_norm_rescale", "layer_norm"] as const;

/** A norm of `runtimeNorms`. */
export type RuntimeNorm = (typeof runtimeNorms)[number];

/** SAELens's ε beside the deviation of a row. */
const epsilon = 1e-5;

/** Rows as an SAE reads them, and what its reconstructions of them need. */
export interface NormalisedRows {
  readonly rows: Float32Array; // [n, d]
  /** σ of each row. */
  readonly scale: Float64Array; // [n]
  /** μ of each row: zeros but for layer_norm. */
  readonly shift: Float64Array; // [n]
}

/** Takes `norm` off rows x [n, d], which stay as they are. */
export function normaliseRows(norm: RuntimeNorm, x: Float32Array, d: number): NormalisedRows {
  const n = x.length / d;
  const rows = new Float32Array(x.length);
  const scale = new Float64Array(n).fill(1);
  const shift = new Float64Array(n);
  if (norm === "none") rows.set(x);
  else for (let row = 0, at = 0; row < n; row++, at += d) normaliseRow(row, at);
  return { rows, scale, shift };

  function normaliseRow(row: number, at: number): void {
    const end = at + d;
    const isCentred = norm === "layer_norm";
    if (isCentred) {
      for (let j = at; j < end; j++) shift[row] += x[j] / d;
    }
    let squares = 0;
    for (let j = at; j < end; j++) squares += (x[j] - shift[row]) ** 2;
    scale[row] = Math.sqrt(squares / (isCentred ? Math.max(1, d - 1) : d));
    const divisor = isCentred ? scale[row] + epsilon : scale[row] || 1;
    for (let j = at; j < end; j++) rows[j] = (x[j] - shift[row]) / divisor;
  }
}

/** Rows x [n, d] with `norm` taken off, for those who don't give it back; x itself where there is none. */
export function rowsWithoutNorm(norm: RuntimeNorm, x: Float32Array, d: number): Float32Array {
  return norm === "none" ? x : normaliseRows(norm, x, d).rows;
}

/** Gives reconstructions [n, d] of normalised rows their rows' scale and mean back, in place. */
export function restoreRows(
  reconstruction: Float32Array,
  { scale, shift }: Pick<NormalisedRows, "scale" | "shift">,
): void {
  const d = reconstruction.length / scale.length;
  for (let at = 0; at < reconstruction.length; at++) {
    const row = Math.floor(at / d);
    reconstruction[at] = reconstruction[at] * scale[row] + shift[row];
  }
}

/** The same SAE for rows that are normalised already. */
export function withoutNorm(sae: Sae): Sae {
  if (sae.cfg.normalize_activations === "none") return sae;
  return { ...sae, cfg: { ...sae.cfg, normalize_activations: "none" } };
}
