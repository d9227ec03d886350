/** Seeded activations for the benchmarks of SAEs. */
import { activationScale } from "../../sae/index.ts";
import { createRng } from "../../src/engine/index.ts";

/** Directions that the synthetic activations share. */
const rank = 64;

/**
 * Rows like a model's activations: a low-rank part of 64 directions and a tenth of noise, times one number,
 * so that the first `sample` rows have the mean norm √d that SAEs are trained at: no side rescales them.
 */
export function syntheticRows(n: number, d: number, sample: number, seed: string): Float32Array {
  const rng = createRng(seed);
  const directions = Float32Array.from({ length: rank * d }, () => rng.normal());
  const rows = new Float32Array(n * d); // [n, d]
  const weights = new Float32Array(rank);
  for (let row = 0; row < n; row++) {
    // cubed, so that a few directions stand out in each row
    for (let r = 0; r < rank; r++) weights[r] = rng.normal() ** 3;
    const out = rows.subarray(row * d, (row + 1) * d);
    for (let r = 0; r < rank; r++) {
      for (let j = 0; j < d; j++) out[j] += weights[r] * directions[r * d + j];
    }
    for (let j = 0; j < d; j++) out[j] += 0.1 * rng.normal();
  }
  const scale = activationScale(rows.subarray(0, sample * d), d);
  for (let i = 0; i < rows.length; i++) rows[i] *= scale;
  return rows;
}
