// Non-negative least squares on the normal equations: min ½ wᵀG w − cᵀw over w ≥ 0, by the active
// set method of Lawson & Hanson (Solving Least Squares Problems, 1974, ch. 23). For a handful of
// variables: each step solves a dense system of the variables that are not 0.
import { cholesky, solveCholesky } from "../../src/engine/index.ts";

// Relative to the largest |c| and to the diagonal of G: below, a gradient is rounding error; and what
// keeps the factor of two all but equal columns defined.
const rounding = 1e-10;
const jitter = 1e-12;

/**
 * The weights w [n] that minimise |A w − y|² over w ≥ 0, from `gram` = AᵀA [n, n] and `cross` = Aᵀy
 * [n]. The residual sum is yᵀy − crossᵀw.
 */
export function nonNegativeLeastSquares(
  gram: Float64Array,
  cross: Float64Array,
  n: number,
): Float64Array {
  const w = new Float64Array(n);
  const least = rounding * cross.reduce((most, c) => Math.max(most, Math.abs(c)), 0);
  let active: number[] = []; // the variables that may be above 0
  for (let step = 0; step < 3 * n; step++) {
    const entering = steepest(gram, cross, w, n, active, least);
    if (entering < 0) break;
    active = [...active, entering].sort((a, b) => a - b);
    while (active.length > 0) {
      const free = solveOn(gram, cross, n, active);
      const blocked = active.filter((_, at) => free[at] <= 0);
      if (blocked.length === 0) {
        for (const [at, j] of active.entries()) w[j] = free[at];
        break;
      }
      // As far towards the free solution as the first variable that would turn negative allows.
      let way = 1;
      for (const [at, j] of active.entries()) {
        if (free[at] <= 0) way = Math.min(way, w[j] / (w[j] - free[at]));
      }
      for (const [at, j] of active.entries()) {
        w[j] += way * (free[at] - w[j]);
        if (w[j] <= rounding * Math.abs(free[at])) w[j] = 0;
      }
      active = active.filter((j) => w[j] > 0);
    }
  }
  return w;
}

/** The variable outside `active` along which the objective falls fastest; −1 when none does. */
function steepest(
  gram: Float64Array,
  cross: Float64Array,
  w: Float64Array,
  n: number,
  active: readonly number[],
  least: number,
): number {
  let best = -1;
  let most = least;
  for (let j = 0; j < n; j++) {
    if (active.includes(j) || gram[j * n + j] <= 0) continue;
    let gradient = cross[j];
    for (let k = 0; k < n; k++) gradient -= gram[j * n + k] * w[k];
    if (gradient > most) {
      most = gradient;
      best = j;
    }
  }
  return best;
}

function solveOn(
  gram: Float64Array,
  cross: Float64Array,
  n: number,
  chosen: readonly number[],
): Float64Array {
  const size = chosen.length;
  const system = new Float64Array(size * size);
  for (let a = 0; a < size; a++) {
    for (let b = 0; b < size; b++) system[a * size + b] = gram[chosen[a] * n + chosen[b]];
    system[a * size + a] *= 1 + jitter;
  }
  const solution = Float64Array.from(chosen, (j) => cross[j]);
  solveCholesky(cholesky(system, size), size, solution);
  return solution;
}
