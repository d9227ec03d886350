/**
 * @file What activations alone tell of SAEs: how many latents fire, what they leave unexplained, which are dead;
 * accumulated in f64 over the whole set. Tokens of large norm can be left out.
 *   fvu = E‖x − x̂‖² / (E‖x‖² − ‖E x‖²)        relative_reconstruction_bias = E‖x̂‖²/E[x·x̂]
 */
import { hostView, tf } from "../src/engine/index.ts";
import { UsageError } from "../src/io/index.ts";
import { decode } from "./decode.ts";
import { encodeAsync } from "./encode.ts";
import { normLimit, rowsAbove } from "./high-norm.ts";
import type { Sae, SparseCodes } from "./sae.ts";

/** What activations tell of an SAE; null where a ratio has no finite value. */
export interface ReconstructionFigures {
  readonly hook_name: string;
  /** Token rows measured, those that are left out not counted. */
  readonly tokens: number;
  readonly first_tokens_excluded: boolean;
  /** Tokens left out because their norm is above `max_norm_ratio` medians. */
  readonly high_norm_excluded: number;
  readonly l0: number;
  readonly fvu: number | null;
  readonly explained_variance: number | null;
  readonly l2_ratio: number | null;
  readonly relative_reconstruction_bias: number | null;
  /** Share of latents that never fired on these tokens. */
  readonly dead_fraction: number;
  /** Latents by log10 of their density; those that never fired are not in it. */
  readonly density: { readonly log10_edges: readonly number[]; readonly counts: readonly number[] };
}

const log10Edges: readonly number[] = Array.from({ length: 26 }, (_, i) => -5 + i / 5);

/**
 * What activations alone tell of SAEs of one hook: blocks [rows, d_in] on the engine, which are disposed here, those
 * of first tokens not among them where `firstTokensExcluded` says so. Errors: UsageError where there is no row.
 */
export async function evaluateOnActivations(
  blocks: AsyncIterable<tf.Tensor2D>,
  saes: readonly Sae[],
  firstTokensExcluded: boolean,
  maxNormRatio: number | null = leastRatio(saes),
): Promise<ReconstructionFigures[]> {
  const reconstruction = await measureReconstruction(blocks, saes, maxNormRatio);
  if (reconstruction.rows === 0) {
    throw new UsageError({
      code: "no-activations",
      where: saes[0].cfg.hook_name,
      expected: "activations to measure on",
      got: "none",
    });
  }
  return reconstructionFigures(reconstruction, saes, firstTokensExcluded);
}

/** The least multiple of the median norm that an SAE of these was trained up to; null where none has one. */
export function leastRatio(saes: readonly Sae[]): number | null {
  const ratios = saes.flatMap(({ cfg }) => cfg.max_norm_ratio ?? []);
  return ratios.length === 0 ? null : Math.min(...ratios);
}

/** The figures of what `measureReconstruction` summed, for each SAE. */
export function reconstructionFigures(
  { rows: n, leftOut, variance, saes: all }: Reconstruction,
  saes: readonly Sae[],
  first_tokens_excluded: boolean,
): ReconstructionFigures[] {
  return saes.map(({ cfg }, i) => {
    const sums = all[i];
    const fvu = sums.squaredError / variance;
    return {
      hook_name: cfg.hook_name,
      tokens: n,
      first_tokens_excluded,
      high_norm_excluded: leftOut,
      l0: sums.active / n,
      fvu: finite(fvu),
      explained_variance: finite(1 - fvu),
      l2_ratio: finite(sums.normRatio / n),
      relative_reconstruction_bias: finite(sums.squaredNorm / sums.inner),
      dead_fraction: sums.firings.filter((count) => count === 0).length / cfg.d_sae,
      density: densityHistogram(sums.firings, n),
    };
  });
}

interface SaeSums {
  active: number;
  squaredError: number;
  squaredNorm: number;
  inner: number;
  normRatio: number;
  readonly firings: Int32Array; // [d_sae]
}

/** Sums over the rows that are measured. */
export interface Reconstruction {
  readonly rows: number;
  /** Rows left out for their norm. */
  readonly leftOut: number;
  /** The largest norm that is measured. */
  readonly limit: number;
  readonly mean: Float64Array;
  readonly variance: number;
  readonly saes: readonly SaeSums[];
}

/** Sums what SAEs of one hook make of blocks [rows, d_in], which are disposed; `maxNormRatio` null leaves none out. */
export async function measureReconstruction(
  blocks: AsyncIterable<tf.Tensor2D>,
  saes: readonly Sae[],
  maxNormRatio: number | null,
): Promise<Reconstruction> {
  const width = saes[0].cfg.d_in;
  const sum = new Float64Array(width);
  const sums = saes.map(
    ({ cfg }): SaeSums => ({
      active: 0,
      squaredError: 0,
      squaredNorm: 0,
      inner: 0,
      normRatio: 0,
      firings: new Int32Array(cfg.d_sae),
    }),
  );
  let squares = 0;
  let rows = 0;
  let leftOut = 0;
  let limit = maxNormRatio === null ? Number.POSITIVE_INFINITY : Number.NaN;
  for await (const block of blocks) {
    const all = hostView(block)?.slice() ?? ((await block.data()) as Float32Array);
    if (Number.isNaN(limit)) limit = normLimit(all, width, maxNormRatio as number);
    const x = withinLimit(all, width, limit);
    leftOut += (all.length - x.length) / width;
    const n = x.length / width;
    rows += n;
    for (let at = 0; at < x.length; at++) {
      sum[at % width] += x[at];
      squares += x[at] * x[at];
    }
    if (n === 0) {
      block.dispose();
      continue;
    }
    const kept = x === all ? block : tf.tensor2d(x, [n, width]);
    for (const [i, sae] of saes.entries()) {
      const codes = await encodeAsync(sae, kept);
      addReconstruction(sums[i], codes, x, decode(sae, codes), width);
    }
    kept.dispose();
    if (kept !== block) block.dispose();
  }
  const mean = sum.map((total) => total / rows);
  const variance = squares - rows * mean.reduce((total, m) => total + m * m, 0);
  return { rows, leftOut, limit, mean, variance, saes: sums };
}

/** The rows whose norm is at most `limit`; `rows` itself where all are. */
function withinLimit(rows: Float32Array, width: number, limit: number): Float32Array {
  if (limit === Number.POSITIVE_INFINITY) return rows;
  const isAbove = rowsAbove(rows, width, limit);
  if (!isAbove.includes(1)) return rows;
  const out = new Float32Array(isAbove.filter((above) => !above).length * width);
  let to = 0;
  for (const [i, above] of isAbove.entries()) {
    if (above) continue;
    out.set(rows.subarray(i * width, (i + 1) * width), to);
    to += width;
  }
  return out;
}

function addReconstruction(
  sums: SaeSums,
  codes: SparseCodes,
  x: Float32Array,
  xHat: Float32Array,
  width: number,
): void {
  sums.active += codes.latent.length;
  for (const latent of codes.latent) sums.firings[latent]++;
  for (let start = 0; start < x.length; start += width) {
    let error = 0;
    let norm = 0;
    let normHat = 0;
    let inner = 0;
    for (let i = start; i < start + width; i++) {
      error += (x[i] - xHat[i]) ** 2;
      norm += x[i] * x[i];
      normHat += xHat[i] * xHat[i];
      inner += x[i] * xHat[i];
    }
    sums.squaredError += error;
    sums.squaredNorm += normHat;
    sums.inner += inner;
    sums.normRatio += Math.sqrt(normHat / norm);
  }
}

function densityHistogram(firings: Int32Array, n: number): ReconstructionFigures["density"] {
  const counts = new Array<number>(log10Edges.length - 1).fill(0);
  for (const count of firings) {
    if (count === 0) continue;
    const position = (Math.log10(count / n) + 5) * 5;
    counts[Math.min(counts.length - 1, Math.max(0, Math.floor(position)))]++;
  }
  return { log10_edges: log10Edges, counts };
}

/** The value, or null where it is not finite. */
export function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
