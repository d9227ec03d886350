// The null of a cosine: how close to a mapped parent direction the best of n unrelated directions
// comes by chance, when those have the mean and covariance of the child's decoder rows. A fixed .7
// is no null in a small model: directions that share an anisotropic covariance reach .74–.79 at
// d = 64 (methods.md §4). Best of n is more than a matched pair needs, so the null is conservative.
import { cholesky, type Rng } from "../../src/engine/index.ts";
import { type Directions, directions, shrunk } from "./cosine.ts";

// Keeps the factor defined when there are fewer rows than dimensions.
const jitter = 1e-6;
const mostQueries = 512;
const leastQueries = 64;
const productBudget = 2e9;

/**
 * For up to 512 of the `queries` rows (fewer where the products would pass 2·10⁹), the highest
 * cosine to any of targets.n random directions drawn with the mean and covariance of `targets`.
 */
export function directionNull(
  queries: Directions,
  chosen: ArrayLike<number>,
  targets: Directions,
  rng: Rng,
): Float64Array {
  const { n, width } = targets;
  const drawn = drawLike(targets, rng.fork("draws"));
  const order = Int32Array.from(chosen);
  rng.fork("queries").shuffle(order);
  const affordable = Math.max(leastQueries, Math.floor(productBudget / (n * width)));
  const picked = order.subarray(0, Math.min(mostQueries, affordable));
  const maxima = new Float64Array(picked.length).fill(-1);
  for (let j = 0; j < n; j++) {
    for (let q = 0; q < picked.length; q++) {
      const from = picked[q] * width;
      let dot = 0;
      for (let a = 0; a < width; a++) dot += queries.rows[from + a] * drawn.rows[j * width + a];
      if (dot > maxima[q]) maxima[q] = dot;
    }
  }
  return maxima;
}

/** As many Gaussian directions as `like` has, with the mean and covariance of its rows. */
export function drawLike(like: Directions, rng: Rng): Directions {
  const { n, width, rows } = like;
  const mean = new Float64Array(width);
  for (let j = 0; j < n; j++) {
    for (let a = 0; a < width; a++) mean[a] += rows[j * width + a] / n;
  }
  const covariance = new Float64Array(width * width); // lower half
  for (let j = 0; j < n; j++) {
    for (let a = 0; a < width; a++) {
      const xa = (rows[j * width + a] - mean[a]) / n;
      for (let b = 0; b <= a; b++) {
        covariance[a * width + b] += xa * (rows[j * width + b] - mean[b]);
      }
    }
  }
  const L = cholesky(shrunk(covariance, width, jitter), width);
  const out = new Float64Array(n * width);
  const g = new Float64Array(width);
  for (let j = 0; j < n; j++) {
    for (let a = 0; a < width; a++) g[a] = rng.normal();
    for (let a = 0; a < width; a++) {
      let sum = mean[a];
      for (let b = 0; b <= a; b++) sum += L[a * width + b] * g[b];
      out[j * width + a] = sum;
    }
  }
  return directions(out, width);
}
