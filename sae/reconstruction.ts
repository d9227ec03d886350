/**
 * @file What activations alone tell of SAEs: how many latents fire, what they leave unexplained, which are dead;
 * accumulated in f64 over the whole set. Tokens of large norm can be left out. Names are SAELens's and SAEBench's.
 *   fvu = E‖x − x̂‖² / (E‖x‖² − ‖E x‖²)        relative_reconstruction_bias = E‖x̂‖²/E[x·x̂]
 * x is what is to be reconstructed: a transcoder's targets, which come with the rows that it reads.
 * One figure is not of the whole set: explained_variance_legacy takes the mean of each block.
 */
import { hostView, type tf } from "../src/engine/index.ts";
import { UsageError } from "../src/io/index.ts";
import type { TargetedRows } from "./activations.ts";
import { reconstruct } from "./decode.ts";
import { encodeAsync } from "./encode.ts";
import { normLimit, rowsAbove } from "./high-norm.ts";
import { RowMoments } from "./row-moments.ts";
import type { Sae, SparseCodes } from "./sae.ts";

/** What activations tell of an SAE; null where a ratio has no finite value. */
export interface ReconstructionFigures {
  readonly hook_name: string;
  /** Of a transcoder: the hook that it reconstructs, which all figures of what is reconstructed are of. */
  readonly hook_name_out?: string;
  /** Token rows measured, those that are left out not counted. */
  readonly tokens: number;
  readonly first_tokens_excluded: boolean;
  /** Tokens left out because their norm is above `max_norm_ratio` medians. */
  readonly high_norm_excluded: number;
  readonly l0: number;
  /** Sum of a token's activations, mean over tokens. */
  readonly l1: number;
  readonly fvu: number | null;
  readonly explained_variance: number | null;
  /** Mean over tokens of 1 − ‖x − x̂‖²/‖x − x̄‖², x̄ the mean of a block: what older tables call explained variance. */
  readonly explained_variance_legacy: number | null;
  /** E‖x − x̂‖². */
  readonly mse: number;
  /** Mean cosine of x and x̂. */
  readonly cossim: number;
  /** E‖x‖ and E‖x̂‖. */
  readonly l2_norm_in: number;
  readonly l2_norm_out: number;
  readonly l2_ratio: number | null;
  readonly relative_reconstruction_bias: number | null;
  /** Share of latents that never fired on these tokens. */
  readonly dead_fraction: number;
  /** Share of latents that fire on more than 1% and 10% of the tokens. */
  readonly freq_over_1_percent: number;
  readonly freq_over_10_percent: number;
  /** Share of all firings that are theirs. */
  readonly normalized_freq_over_1_percent: number;
  readonly normalized_freq_over_10_percent: number;
  /** Latents by log10 of their density; those that never fired are not in it. */
  readonly density: { readonly log10_edges: readonly number[]; readonly counts: readonly number[] };
}

/** Blocks of rows; those of transcoders with the rows' targets. */
export type RowBlocks = AsyncIterable<tf.Tensor2D | TargetedRows>;

const log10Edges: readonly number[] = Array.from({ length: 26 }, (_, i) => -5 + i / 5);

/**
 * What activations alone tell of SAEs of one hook: blocks [rows, d_in] on the engine (of transcoders with their targets),
 * which are disposed here, those
 * of first tokens not among them where `firstTokensExcluded` says so. Errors: UsageError where there is no row.
 */
export async function evaluateOnActivations(
  blocks: RowBlocks,
  saes: readonly Sae[],
  firstTokensExcluded: boolean,
  maxNormRatio: number | null = leastRatio(saes),
): Promise<ReconstructionFigures[]> {
  const reconstruction = await measureReconstruction(blocks, saes, maxNormRatio);
  if (reconstruction.moments.rows === 0) {
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
  { moments, leftOut, saes: all }: Reconstruction,
  saes: readonly Sae[],
  first_tokens_excluded: boolean,
): ReconstructionFigures[] {
  const n = moments.rows;
  return saes.map(({ cfg }, i) => {
    const sums = all[i];
    const fvu = sums.squaredError / moments.variance();
    return {
      hook_name: cfg.hook_name,
      ...(cfg.hook_name_out !== null && { hook_name_out: cfg.hook_name_out }),
      tokens: n,
      first_tokens_excluded,
      high_norm_excluded: leftOut,
      l0: sums.active / n,
      l1: sums.l1 / n,
      fvu: finite(fvu),
      explained_variance: finite(1 - fvu),
      explained_variance_legacy: finite(sums.legacy / n),
      mse: sums.squaredError / n,
      cossim: sums.cosine / n,
      l2_norm_in: sums.normIn / n,
      l2_norm_out: sums.normOut / n,
      l2_ratio: finite(sums.normRatio / n),
      relative_reconstruction_bias: finite(sums.squaredNorm / sums.inner),
      ...densityFigures(sums.firings, n),
    };
  });
}

/** Sums over rows of one SAE; a row of zeros counts as of norm 1, with a cosine of 0. */
interface SaeSums {
  active: number;
  l1: number;
  squaredError: number; // Σ‖x − x̂‖²
  squaredNorm: number; // Σ‖x̂‖²
  inner: number; // Σ x·x̂
  normIn: number; // Σ‖x‖
  normOut: number; // Σ‖x̂‖
  normRatio: number; // Σ‖x̂‖/‖x‖
  cosine: number; // Σ x·x̂/(‖x‖‖x̂‖)
  legacy: number; // Σ (1 − ‖x − x̂‖²/‖x − x̄‖²)
  readonly firings: Int32Array; // [d_sae]
}

/** Sums over the rows that are measured. */
export interface Reconstruction {
  readonly moments: RowMoments;
  /** Rows left out for their norm. */
  readonly leftOut: number;
  /** The largest norm that is measured, of what is read and of what is reconstructed. */
  readonly limits: readonly [input: number, target: number];
  readonly saes: readonly SaeSums[];
}

/**
 * Called with the codes of each block by the SAE's place, in the order of the blocks: of all its rows, also of those
 * with a 1 in `leftOut`, whose norm is too large to be measured.
 */
export type CodesListener = (sae: number, codes: SparseCodes, leftOut: Uint8Array) => void;

/** Sums what SAEs of one hook (and one target) make of blocks, which are disposed; `maxNormRatio` null leaves none out. */
export async function measureReconstruction(
  blocks: RowBlocks,
  saes: readonly Sae[],
  maxNormRatio: number | null,
  onCodes: CodesListener = () => {},
): Promise<Reconstruction> {
  const { d_in, d_out } = saes[0].cfg;
  const moments = new RowMoments(d_out);
  const sums = saes.map(({ cfg }) => noSums(cfg.d_sae));
  let rows = 0;
  const none = Number.POSITIVE_INFINITY;
  let limits: Reconstruction["limits"] | null = maxNormRatio === null ? [none, none] : null;
  for await (const block of blocks) {
    const { input, target } = "input" in block ? block : { input: block, target: block };
    const x = await hostRows(input);
    const y = target === input ? x : await hostRows(target);
    const above = (ratio: number): Reconstruction["limits"] => {
      const limit = normLimit(x, d_in, ratio);
      return [limit, y === x ? limit : normLimit(y, d_out, ratio)];
    };
    limits ??= above(maxNormRatio as number);
    const leftOut = rowsAboveEither(x, d_in, y, d_out, limits);
    rows += leftOut.length;
    moments.add(y, leftOut);
    const spread = squaredDistances(y, d_out, leftOut);
    for (const [i, sae] of saes.entries()) {
      const codes = await encodeAsync(sae, input);
      onCodes(i, codes, leftOut);
      addReconstruction(sums[i], codes, y, await reconstruct(sae, codes, input), spread, leftOut);
    }
    input.dispose();
    if (target !== input) target.dispose();
  }
  return { moments, leftOut: rows - moments.rows, limits: limits ?? [none, none], saes: sums };
}

/** For each row, 1 where its norm or its target's is above its limit. */
export function rowsAboveEither(
  x: Float32Array,
  d_in: number,
  y: Float32Array,
  d_out: number,
  [input, target]: Reconstruction["limits"],
): Uint8Array {
  const above = rowsAbove(x, d_in, input);
  if (y === x) return above;
  const targetAbove = rowsAbove(y, d_out, target);
  return above.map((isAbove, row) => isAbove | targetAbove[row]);
}

async function hostRows(rows: tf.Tensor2D): Promise<Float32Array> {
  return hostView(rows)?.slice() ?? ((await rows.data()) as Float32Array);
}

function noSums(dSae: number): SaeSums {
  return {
    active: 0,
    l1: 0,
    squaredError: 0,
    squaredNorm: 0,
    inner: 0,
    normIn: 0,
    normOut: 0,
    normRatio: 0,
    cosine: 0,
    legacy: 0,
    firings: new Int32Array(dSae),
  };
}

/** ‖x − x̄‖² of each row, x̄ being the mean of those that are not left out. */
function squaredDistances(x: Float32Array, width: number, leftOut: Uint8Array): Float64Array {
  const moments = new RowMoments(width);
  moments.add(x, leftOut);
  const mean = moments.mean();
  const distances = new Float64Array(leftOut.length);
  for (let row = 0, at = 0; row < distances.length; row++) {
    for (let i = 0; i < width; i++, at++) distances[row] += (x[at] - mean[i]) ** 2;
  }
  return distances;
}

function addReconstruction(
  sums: SaeSums,
  { nTokens, rowStart, latent, value }: SparseCodes,
  x: Float32Array,
  xHat: Float32Array,
  spread: Float64Array,
  leftOut: Uint8Array,
): void {
  const width = x.length / nTokens;
  for (let row = 0; row < nTokens; row++) {
    if (leftOut[row] === 1) continue;
    sums.active += rowStart[row + 1] - rowStart[row];
    for (let at = rowStart[row]; at < rowStart[row + 1]; at++) {
      sums.l1 += value[at];
      sums.firings[latent[at]]++;
    }
    let error = 0;
    let squared = 0;
    let squaredHat = 0;
    let inner = 0;
    for (let i = row * width; i < (row + 1) * width; i++) {
      error += (x[i] - xHat[i]) ** 2;
      squared += x[i] * x[i];
      squaredHat += xHat[i] * xHat[i];
      inner += x[i] * xHat[i];
    }
    const [norm, normHat] = [Math.sqrt(squared), Math.sqrt(squaredHat)];
    sums.squaredError += error;
    sums.squaredNorm += squaredHat;
    sums.inner += inner;
    sums.normIn += norm;
    sums.normOut += normHat;
    sums.normRatio += normHat / (norm || 1);
    sums.cosine += inner / (norm * normHat || 1);
    sums.legacy += 1 - error / spread[row];
  }
}

type DensityFigures = Pick<
  ReconstructionFigures,
  | ("dead_fraction" | "density" | "freq_over_1_percent" | "freq_over_10_percent")
  | ("normalized_freq_over_1_percent" | "normalized_freq_over_10_percent")
>;

function densityFigures(firings: Int32Array, n: number): DensityFigures {
  const all = firings.reduce((sum, count) => sum + count, 0);
  const above = (share: number): Int32Array => firings.filter((count) => count / n > share);
  const latents = (share: number): number => above(share).length / firings.length;
  const ofFirings = (share: number): number =>
    above(share).reduce((sum, count) => sum + count, 0) / (all || 1);
  return {
    dead_fraction: firings.filter((count) => count === 0).length / firings.length,
    freq_over_1_percent: latents(0.01),
    freq_over_10_percent: latents(0.1),
    normalized_freq_over_1_percent: ofFirings(0.01),
    normalized_freq_over_10_percent: ofFirings(0.1),
    density: densityHistogram(firings, n),
  };
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
