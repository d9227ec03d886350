/**
 * @file Latent scaling (Minder et al. 2025, arXiv 2504.02922; Wright & Sharkey 2024): how much of a latent's direction d_i
 * a target y holds while the latent is active, the closed form of
 *   β_i = argmin_β Σ_t ‖β f_ti d_i − y_t‖² = Σ_t f_ti ⟨d_i, y_t⟩ / (Σ_t f_ti² ‖d_i‖²).
 * The target may be activations, what an SAE left of them, or what it made of them. Rows may be made of parts, such as
 * the activations of two models, each with its own direction and its own β. Sums are f64, one pass, no n × n.
 */
import type { CodeArrays } from "../kernels/reconstruct.ts";

/** Sums under way. */
export interface ScalingSums {
  /**
   * Adds n rows of the target, [n, d], with the codes of the same tokens. With `shift` in [0, n) a row meets the codes
   * of the token that many places before it, circularly: what chance gives.
   */
  add(codes: CodeArrays, rows: Float32Array, shift?: number): void;
  /** β by part, each [nLatents]: NaN for a latent that never fired, 0 for a direction of zeros. */
  betas(): Float64Array[];
}

/** Starts the sums for `directions` [nLatents, d]; `widths` are those of the parts and add up to d. */
export function latentScaling(directions: Float32Array, widths: readonly number[]): ScalingSums {
  const d = widths.reduce((sum, width) => sum + width, 0);
  const nLatents = directions.length / d;
  const energy = new Float64Array(nLatents); // Σ f²
  const sums = widths.map(() => new Float64Array(nLatents)); // Σ f ⟨d, y⟩
  return {
    add({ rowStart, latent, value }, rows, shift = 0) {
      const n = rows.length / d;
      for (let t = 0; t < n; t++) {
        const from = t >= shift ? t - shift : t - shift + n;
        for (let p = rowStart[from]; p < rowStart[from + 1]; p++) {
          const i = latent[p];
          const f = value[p];
          energy[i] += f * f;
          let direction = i * d;
          let row = t * d;
          for (let s = 0; s < widths.length; s++) {
            let dot = 0;
            for (const end = row + widths[s]; row < end; row++, direction++) {
              dot += directions[direction] * rows[row];
            }
            sums[s][i] += f * dot;
          }
        }
      }
    },
    betas() {
      let from = 0;
      return widths.map((width, s) => {
        const start = from;
        from += width;
        return Float64Array.from(sums[s], (sum, i) => {
          if (energy[i] === 0) return Number.NaN;
          let squares = 0;
          for (let at = i * d + start; at < i * d + start + width; at++) {
            squares += directions[at] ** 2;
          }
          return squares === 0 ? 0 : sum / (energy[i] * squares);
        });
      });
    },
  };
}
