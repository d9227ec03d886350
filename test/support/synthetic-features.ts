// Activations with known features, in the manner of SynthSAEBench scaled to seconds: more unit directions than
// dimensions, firing rates that fall off as a power law, magnitudes of their own, some features that fire only where
// their parent does, some pairs that exclude one another, and a little noise. Or families alone: every feature is a
// parent or one of its children, of which one at most fires, and only with the parent.
import { createRng } from "../../src/engine/index.ts";

export interface SyntheticOptions {
  readonly d: number;
  readonly features: number;
  /** Mean number of features that fire on a row. */
  readonly l0: number;
  readonly rows: number;
  readonly seed: number;
  /** Families: each parent has so many children behind it, and one of them fires in `share` of the parent's firings. */
  readonly families?: { readonly children: number; readonly share: number };
}

/** Rows and what made them. */
export interface Synthetic {
  readonly d: number;
  readonly rows: Float32Array; // [n, d]
  readonly directions: Float32Array; // [features, d], unit norm
  readonly magnitudes: Float32Array; // [n, features], zero where a feature does not fire
}

/** Draws the features and `rows` rows of them. */
export function syntheticFeatures(options: SyntheticOptions): Synthetic {
  const { d, features, l0, rows: n, seed, families } = options;
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
  const size = families ? 1 + families.children : 1;
  // Zipf-like rates of all features, or of the parents, scaled to the wanted mean number
  const rates = Array.from({ length: features }, (_, i) => (Math.floor(i / size) + 3) ** -0.6);
  const expected = rates.reduce(
    (sum, rate, i) => sum + (i % size === 0 ? rate * (1 + (families?.share ?? 0)) : 0),
    0,
  );
  const rate = rates.map((r) => Math.min(0.5, (r * l0) / expected));
  const draws = rng.fork("rows");
  const magnitudes = new Float32Array(n * features);
  const rows = new Float32Array(n * d);
  for (let t = 0; t < n; t++) {
    const row = magnitudes.subarray(t * features, (t + 1) * features);
    let child = 0; // which of a family's children fires, where its parent does
    for (let i = 0; i < features; i++) {
      const [chance, magnitude] = [draws.next(), draws.normal()];
      if (families && i % size === 0) {
        child = 1 + Math.floor((draws.next() / families.share) * families.children);
      }
      const fires = families
        ? i % size === 0
          ? chance < rate[i]
          : row[i - (i % size)] > 0 && child === i % size
        : firesMixed(row, i, chance, rate);
      if (fires) row[i] = Math.max(0.1, 1 + 0.25 * magnitude);
    }
    for (let j = 0; j < d; j++) rows[t * d + j] = 0.02 * draws.normal();
    for (let i = 0; i < features; i++) {
      if (row[i] === 0) continue;
      for (let j = 0; j < d; j++) rows[t * d + j] += row[i] * directions[i * d + j];
    }
  }
  return { d, rows, directions, magnitudes };
}

/** Of every eight features the last is a child, which fires only with its parent as often as its rate says, and the sixth never fires with its rival. */
function firesMixed(
  row: Float32Array,
  i: number,
  chance: number,
  rate: readonly number[],
): boolean {
  if (i % 8 === 7) return row[i - 4] > 0 && chance < Math.min(1, rate[i] / rate[i - 4]);
  return chance < rate[i] && !(i % 8 === 5 && row[i - 1] > 0);
}
