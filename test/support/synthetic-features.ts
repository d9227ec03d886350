// Activations with known features, in the manner of SynthSAEBench scaled to seconds: more unit directions than
// dimensions, firing rates that fall off as a power law, magnitudes of their own, some features that fire only where
// their parent does, some pairs that exclude one another, and a little noise.
import { createRng } from "../../src/engine/index.ts";

export interface SyntheticOptions {
  readonly d: number;
  readonly features: number;
  /** Mean number of features that fire on a row. */
  readonly l0: number;
  readonly rows: number;
  readonly seed: number;
}

/** Rows and what made them. */
export interface Synthetic {
  readonly d: number;
  readonly rows: Float32Array; // [n, d]
  readonly directions: Float32Array; // [features, d], unit norm
  readonly magnitudes: Float32Array; // [n, features], zero where a feature does not fire
}

/** Draws the features and `rows` rows of them. */
export function syntheticFeatures({ d, features, l0, rows: n, seed }: SyntheticOptions): Synthetic {
  const rng = createRng(`synthetic ${seed}`);
  const directions = new Float32Array(features * d);
  const directionRng = rng.fork("directions");
  for (let i = 0; i < features; i++) {
    const row = Array.from({ length: d }, () => directionRng.normal());
    const norm = Math.hypot(...row);
    row.forEach((x, j) => {
      directions[i * d + j] = x / norm;
    });
  }
  // Zipf-like rates, scaled to the wanted mean number
  const rates = Array.from({ length: features }, (_, i) => (i + 3) ** -0.6);
  const total = rates.reduce((sum, rate) => sum + rate, 0);
  const rate = rates.map((r) => Math.min(0.5, (r * l0) / total));
  const draws = rng.fork("rows");
  const magnitudes = new Float32Array(n * features);
  const rows = new Float32Array(n * d);
  for (let t = 0; t < n; t++) {
    const row = magnitudes.subarray(t * features, (t + 1) * features);
    for (let i = 0; i < features; i++) {
      const [chance, size] = [draws.next(), draws.normal()];
      const hasParent = i % 8 === 7;
      const hasRival = i % 8 === 5;
      // a child fires only with its parent, as often as its rate says; a rival never with its other
      const fires = hasParent
        ? row[i - 4] > 0 && chance < Math.min(1, rate[i] / rate[i - 4])
        : chance < rate[i] && !(hasRival && row[i - 1] > 0);
      if (fires) row[i] = Math.max(0.1, 1 + 0.25 * size);
    }
    for (let j = 0; j < d; j++) rows[t * d + j] = 0.02 * draws.normal();
    for (let i = 0; i < features; i++) {
      if (row[i] === 0) continue;
      for (let j = 0; j < d; j++) rows[t * d + j] += row[i] * directions[i * d + j];
    }
  }
  return { d, rows, directions, magnitudes };
}
