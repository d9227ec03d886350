// Pearson correlation over tokens between every latent of one dictionary and every latent of
// another, on the same rows. With x, y ≥ 0 sparse,
//   r_ij = (Σ_t x_ti y_tj − N x̄_i ȳ_j) / (‖x_i − x̄_i‖ ‖y_j − ȳ_j‖),
// so only tokens on which both fire need visiting: one accumulator row of n_child per parent latent,
// never an n × n matrix. Cost: Σ firings × L0. The primary measure of methods.md §4, invariant to
// the basis of either model. Where the active backend has a kernel for it, that computes the same
// numbers on every core; the loops here say what they are.
import { type SparseColumns, type SparseRows, sparseCorrelation } from "../../src/engine/index.ts";
import type { SparseCodes } from "../sae.ts";
import type { Firings } from "./firings.ts";

/** The best partners of each latent on either side. A latent that shares no firing has none: −1, NaN. */
export interface Matches {
  readonly top: number;
  /** The `top` children of highest correlation, best first. */
  readonly child: Int32Array; // [nParent, top]
  readonly correlation: Float64Array; // [nParent, top]
  /** For each child the parent of highest correlation, among all parents. */
  readonly relative: Int32Array; // [nChild]
  readonly relativeCorrelation: Float64Array; // [nChild]
  /** The same among the parents in `candidates`: what a mutual argmax is taken over. */
  readonly claimant: Int32Array; // [nChild]
}

/** Options of {@link correlationMatches}. */
export interface MatchOptions {
  /** How many children to keep per parent latent. */
  readonly top?: number;
  /** 1 where a parent latent may claim a child; all by default. */
  readonly candidates?: Uint8Array; // [nParent]
}

/**
 * Fills `into` [codes.dSae] with Σ_t x_(t−shift) y_t for latent i of `firings` against all latents
 * of `codes`. `shift` in [0, nTokens) moves latent i's firings on by that many tokens, circularly.
 */
export function coactivations(
  firings: Firings,
  i: number,
  codes: SparseCodes,
  into: Float64Array,
  shift = 0,
): void {
  into.fill(0);
  const { start, token, value: x, nTokens } = firings;
  const { rowStart, latent, value: y } = codes;
  for (let p = start[i]; p < start[i + 1]; p++) {
    let t = token[p] + shift;
    if (t >= nTokens) t -= nTokens;
    const activation = x[p];
    for (let s = rowStart[t]; s < rowStart[t + 1]; s++) into[latent[s]] += activation * y[s];
  }
}

/** Pearson correlation from Σ x y and both latents' sums; NaN where either is constant. */
export function pearson(
  sumXY: number,
  parent: Firings,
  i: number,
  child: Firings,
  j: number,
): number {
  const scale = parent.norm[i] * child.norm[j];
  return scale > 0 ? (sumXY - parent.nTokens * parent.mean[i] * child.mean[j]) / scale : Number.NaN;
}

/**
 * The best matches between two dictionaries on the same token rows. Of equal correlations the lower
 * index wins. Errors: `internal:` when the two have different numbers of tokens.
 */
export function correlationMatches(
  parent: Firings,
  child: Firings,
  childCodes: SparseCodes,
  { top = 1, candidates }: MatchOptions = {},
): Matches {
  if (parent.nTokens !== child.nTokens) {
    throw new Error(
      `internal: correlation needs the same rows, got ${parent.nTokens} and ${child.nTokens} tokens`,
    );
  }
  const kernel = sparseCorrelation();
  if (kernel) {
    const rows = sparseRows(child, childCodes);
    return { top, ...kernel.sparseMatches(sparseColumns(parent), rows, top, candidates) };
  }
  const { nLatents: nParent, nTokens } = parent;
  const { nLatents: nChild, mean, norm } = child;
  const best = new Int32Array(nParent * top).fill(-1);
  const correlation = new Float64Array(nParent * top).fill(Number.NaN);
  const relative = new Int32Array(nChild).fill(-1);
  const relativeCorrelation = new Float64Array(nChild).fill(Number.NaN);
  const claimant = new Int32Array(nChild).fill(-1);
  const claim = new Float64Array(nChild).fill(Number.NaN);
  const sums = new Float64Array(nChild);
  for (let i = 0; i < nParent; i++) {
    if (parent.norm[i] === 0) continue;
    coactivations(parent, i, childCodes, sums);
    const mayClaim = candidates === undefined || candidates[i] === 1;
    const expected = nTokens * parent.mean[i];
    for (let j = 0; j < nChild; j++) {
      if (sums[j] === 0 || norm[j] === 0) continue;
      const r = (sums[j] - expected * mean[j]) / (parent.norm[i] * norm[j]);
      if (!(r <= relativeCorrelation[j])) {
        relativeCorrelation[j] = r;
        relative[j] = i;
      }
      if (mayClaim && !(r <= claim[j])) {
        claim[j] = r;
        claimant[j] = i;
      }
      insert(best, correlation, i * top, top, j, r);
    }
  }
  return { top, child: best, correlation, relative, relativeCorrelation, claimant };
}

/** Firings as a kernel takes them. */
export function sparseColumns({
  nTokens,
  start,
  token,
  value,
  mean,
  norm,
}: Firings): SparseColumns {
  return { rows: nTokens, start, row: token, value, mean, norm };
}

/** Codes as a kernel takes them, with the sums of their firings. */
export function sparseRows({ mean, norm }: Firings, codes: SparseCodes): SparseRows {
  return { start: codes.rowStart, column: codes.latent, value: codes.value, mean, norm };
}

/** Keeps the row of `top` entries from `from` on in descending order of r. */
function insert(
  ids: Int32Array,
  values: Float64Array,
  from: number,
  top: number,
  id: number,
  r: number,
): void {
  let slot = from + top - 1;
  if (r <= values[slot]) return;
  for (; slot > from && !(r <= values[slot - 1]); slot--) {
    values[slot] = values[slot - 1];
    ids[slot] = ids[slot - 1];
  }
  values[slot] = r;
  ids[slot] = id;
}
