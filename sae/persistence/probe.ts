// Ridge probes: can a latent's activation be read linearly from a model's activations, whether or
// not any SAE has a latent for it? For each latent y: min over w, b of Σ (y − b − wᵀx)² + n λ |w|²,
// λ = ridge · tr(Σ_x)/D, fitted on one half of the held-out sequences and scored on the other by
//   R² = 1 − Σ (y − b − wᵀx)² / Σ (y − ȳ)².
// Both steps need only Σx, Σxxᵀ, Σxy, Σy, Σy² per half, so activations stream by once and are never
// held. Readability is a witness, never the headline: random weights read many latents (median
// correlation .35 in the pilot), so every score stands beside that of a random-weights model.
import { cholesky, solveCholesky } from "../../src/engine/index.ts";
import { UsageError } from "../../src/io/index.ts";
import type { SparseCodes } from "../sae.ts";
import { shrunk } from "./cosine.ts";

/** Activations of one model on the held-out rows, in order, as row-major blocks [rows, dIn]. */
export interface ActivationStream {
  readonly dIn: number;
  readonly blocks: AsyncIterable<Float32Array> | Iterable<Float32Array>;
}

interface TargetSums {
  readonly cross: Float64Array; // [nLatents, dIn], Σ x y
  readonly sum: Float64Array; // [nLatents]
  readonly squares: Float64Array; // [nLatents]
}

interface HalfSums {
  rows: number;
  readonly sum: Float64Array; // [dIn]
  readonly gram: Float64Array; // [dIn, dIn], lower half until finished
  readonly targets: readonly TargetSums[];
}

/** Everything the probes of one model need; `halves[0]` is fitted on, `halves[1]` scored. */
export interface ProbeSums {
  readonly dIn: number;
  readonly halves: readonly [HalfSums, HalfSums];
}

/**
 * Sums one pass over a model's activations against one or more sets of codes on the same rows.
 * `half[t]` is 0 for rows to fit on and 1 for rows to score. Memory: 2·(dIn² + dIn·Σ dSae) f64.
 * Errors: a UsageError that names `where` for activations that are not finite or not one row a token.
 */
export async function probeSums(
  stream: ActivationStream,
  targets: readonly SparseCodes[],
  half: Uint8Array,
  where: string,
): Promise<ProbeSums> {
  const { dIn } = stream;
  const halves: [HalfSums, HalfSums] = [emptyHalf(dIn, targets), emptyHalf(dIn, targets)];
  const total = half.length;
  let seen = 0;
  for await (const block of stream.blocks) {
    const rows = block.length / dIn;
    if (!Number.isInteger(rows) || seen + rows > total) {
      throw rowsError(where, total, dIn, `${seen * dIn + block.length} numbers or more`);
    }
    for (let from = 0; from < rows; ) {
      const which = half[seen + from];
      let to = from + 1;
      while (to < rows && half[seen + to] === which) to++;
      addRows(halves[which], block, from, to, dIn, targets, seen);
      from = to;
    }
    seen += rows;
  }
  if (seen !== total) throw rowsError(where, total, dIn, `${seen} rows`);
  for (const { sum, gram } of halves) {
    for (let a = 0; a < dIn; a++) {
      if (!Number.isFinite(sum[a]) || !Number.isFinite(gram[a * dIn + a])) {
        throw new UsageError({
          code: "activations-not-finite",
          where,
          expected: "finite activations",
          got: `NaN or infinity in dimension ${a}`,
        });
      }
      for (let b = 0; b < a; b++) gram[b * dIn + a] = gram[a * dIn + b];
    }
  }
  return { dIn, halves };
}

/**
 * Held-out R² of the ridge probe of each latent of targets[target]; NaN where the latent is constant
 * in either half. Never clipped: a probe worse than the mean is below 0.
 */
export function probeScores(sums: ProbeSums, target: number, ridge: number): Float64Array {
  const { dIn, halves } = sums;
  const [fit, held] = halves;
  const nLatents = fit.targets[target].sum.length;
  const r2 = new Float64Array(nLatents).fill(Number.NaN);
  if (fit.rows === 0 || held.rows === 0) return r2;
  const mean = fit.sum.map((value) => value / fit.rows);
  const L = cholesky(shrunk(covarianceOf(fit, dIn), dIn, ridge), dIn);
  const y = { fit: fit.targets[target], held: held.targets[target] };
  const w = new Float64Array(dIn);
  for (let i = 0; i < nLatents; i++) {
    const fitMean = y.fit.sum[i] / fit.rows;
    const spread = y.held.squares[i] - y.held.sum[i] ** 2 / held.rows;
    const varied = y.fit.squares[i] - y.fit.sum[i] ** 2 / fit.rows;
    if (!(spread > 1e-12 * y.held.squares[i] && varied > 1e-12 * y.fit.squares[i])) continue;
    for (let a = 0; a < dIn; a++) {
      w[a] = y.fit.cross[i * dIn + a] / fit.rows - mean[a] * fitMean;
    }
    solveCholesky(L, dIn, w);
    let intercept = fitMean;
    for (let a = 0; a < dIn; a++) intercept -= w[a] * mean[a];
    let quadratic = 0;
    let wx = 0;
    let wxy = 0;
    for (let a = 0; a < dIn; a++) {
      let row = 0;
      for (let b = 0; b < dIn; b++) row += held.gram[a * dIn + b] * w[b];
      quadratic += w[a] * row;
      wx += w[a] * held.sum[a];
      wxy += w[a] * y.held.cross[i * dIn + a];
    }
    const error =
      y.held.squares[i] -
      2 * wxy -
      2 * intercept * y.held.sum[i] +
      quadratic +
      2 * intercept * wx +
      held.rows * intercept * intercept;
    r2[i] = 1 - error / spread;
  }
  return r2;
}

/** Covariance of the activations over all rows, [dIn, dIn]. */
export function activationCovariance({ dIn, halves: [a, b] }: ProbeSums): Float64Array {
  return covarianceOf(
    {
      rows: a.rows + b.rows,
      sum: a.sum.map((value, s) => value + b.sum[s]),
      gram: a.gram.map((value, s) => value + b.gram[s]),
    },
    dIn,
  );
}

function covarianceOf(
  { rows, sum, gram }: Pick<HalfSums, "rows" | "sum" | "gram">,
  n: number,
): Float64Array {
  const covariance = new Float64Array(n * n);
  for (let a = 0; a < n; a++) {
    for (let b = 0; b < n; b++) {
      covariance[a * n + b] = gram[a * n + b] / rows - (sum[a] / rows) * (sum[b] / rows);
    }
  }
  return covariance;
}

function emptyHalf(dIn: number, targets: readonly SparseCodes[]): HalfSums {
  return {
    rows: 0,
    sum: new Float64Array(dIn),
    gram: new Float64Array(dIn * dIn),
    targets: targets.map(({ dSae }) => ({
      cross: new Float64Array(dSae * dIn),
      sum: new Float64Array(dSae),
      squares: new Float64Array(dSae),
    })),
  };
}

/** Adds rows from..to of a block; block row r is token `offset + r` of the targets. */
function addRows(
  half: HalfSums,
  block: Float32Array,
  from: number,
  to: number,
  dIn: number,
  targets: readonly SparseCodes[],
  offset: number,
): void {
  half.rows += to - from;
  addGram(half, block, from, to, dIn);
  targets.forEach(({ rowStart, latent, value }, which) => {
    const { cross, sum, squares } = half.targets[which];
    for (let r = from; r < to; r++) {
      const x = r * dIn;
      for (let p = rowStart[offset + r]; p < rowStart[offset + r + 1]; p++) {
        const y = value[p];
        const row = latent[p] * dIn;
        sum[latent[p]] += y;
        squares[latent[p]] += y * y;
        for (let a = 0; a < dIn; a++) cross[row + a] += y * block[x + a];
      }
    }
  });
}

/** Lower half of Σ x xᵀ, four rows at a time: the Gram matrix is read and written a quarter as often. */
function addGram(half: HalfSums, x: Float32Array, from: number, to: number, dIn: number): void {
  const { sum, gram } = half;
  for (let r = from; r < to; r += 4) {
    const x0 = r * dIn;
    // Past the end, a row is counted with weight 0.
    const x1 = r + 1 < to ? x0 + dIn : -1;
    const x2 = r + 2 < to ? x0 + 2 * dIn : -1;
    const x3 = r + 3 < to ? x0 + 3 * dIn : -1;
    for (let a = 0; a < dIn; a++) {
      const v0 = x[x0 + a];
      const v1 = x1 < 0 ? 0 : x[x1 + a];
      const v2 = x2 < 0 ? 0 : x[x2 + a];
      const v3 = x3 < 0 ? 0 : x[x3 + a];
      sum[a] += v0 + v1 + v2 + v3;
      const row = a * dIn;
      if (x3 >= 0) {
        for (let b = 0; b <= a; b++) {
          gram[row + b] += v0 * x[x0 + b] + v1 * x[x1 + b] + v2 * x[x2 + b] + v3 * x[x3 + b];
        }
      } else {
        for (let b = 0; b <= a; b++) {
          let product = v0 * x[x0 + b];
          if (x1 >= 0) product += v1 * x[x1 + b];
          if (x2 >= 0) product += v2 * x[x2 + b];
          gram[row + b] += product;
        }
      }
    }
  }
}

function rowsError(where: string, rows: number, dIn: number, got: string): UsageError {
  return new UsageError({
    code: "activations-rows",
    where,
    expected: `${rows} rows of ${dIn}, one for each held-out token`,
    got,
  });
}
