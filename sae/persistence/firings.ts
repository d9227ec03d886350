// Sparse codes turned on their side: for each latent the tokens on which it fires, with the sums
// that every measure of persistence starts from. Codes arrive by token (CSR); correlation and
// containment ask by latent (CSC). All sums are f64.
import { UsageError } from "../../src/io/index.ts";
import type { SparseCodes } from "../sae.ts";
import { quantileOfSorted } from "./quantile.ts";

/** The firings of each latent over the same nTokens rows, tokens ascending. A firing is a value > 0. */
export interface Firings {
  readonly nTokens: number;
  readonly nLatents: number;
  /** Where each latent's firings begin; the last entry is their total. */
  readonly start: Int32Array; // [nLatents + 1]
  readonly token: Int32Array; // [nnz]
  readonly value: Float32Array; // [nnz]
  /** Mean over all tokens, silent ones included. */
  readonly mean: Float64Array; // [nLatents]
  /** sqrt(Σ (x − mean)²) over all tokens; 0 where the latent is constant or silent. */
  readonly norm: Float64Array; // [nLatents]
}

// Below this share of Σx², what is left after taking out the mean is rounding error.
const constantBelow = 1e-12;

/**
 * The firings of each latent of `codes`. Errors: a UsageError that names `where` when there are no
 * tokens, the rows are not in order, a latent is out of range or a value is not a positive number.
 */
export function firingsOf(codes: SparseCodes, where: string): Firings {
  validateCodes(codes, where);
  const { nTokens, dSae, rowStart, latent, value } = codes;
  const nnz = rowStart[nTokens];
  const start = new Int32Array(dSae + 1);
  for (let p = 0; p < nnz; p++) start[latent[p] + 1]++;
  for (let i = 0; i < dSae; i++) start[i + 1] += start[i];
  const next = start.slice(0, dSae);
  const token = new Int32Array(nnz);
  const byLatent = new Float32Array(nnz);
  const mean = new Float64Array(dSae);
  const norm = new Float64Array(dSae);
  for (let t = 0; t < nTokens; t++) {
    for (let p = rowStart[t]; p < rowStart[t + 1]; p++) {
      const i = latent[p];
      const x = value[p];
      token[next[i]] = t;
      byLatent[next[i]++] = x;
      mean[i] += x;
      norm[i] += x * x;
    }
  }
  for (let i = 0; i < dSae; i++) {
    const squares = norm[i];
    mean[i] /= nTokens;
    const centred = squares - nTokens * mean[i] * mean[i];
    norm[i] = centred > constantBelow * squares ? Math.sqrt(centred) : 0;
  }
  return { nTokens, nLatents: dSae, start, token, value: byLatent, mean, norm };
}

/** On how many tokens latent i fires. */
export function firingCount(firings: Firings, i: number): number {
  return firings.start[i + 1] - firings.start[i];
}

/**
 * For each p, the p-quantile of each latent's firing values (silent tokens left out), [nLatents];
 * NaN where it never fires.
 */
export function firingQuantiles(firings: Firings, ps: readonly number[]): Float64Array[] {
  const { nLatents, start, value } = firings;
  const quantiles = ps.map(() => new Float64Array(nLatents));
  for (let i = 0; i < nLatents; i++) {
    const sorted = value.slice(start[i], start[i + 1]).sort();
    for (let s = 0; s < ps.length; s++) quantiles[s][i] = quantileOfSorted(sorted, ps[s]);
  }
  return quantiles;
}

function validateCodes(codes: SparseCodes, where: string): void {
  const fail = (field: string, expected: string, got: string): never => {
    throw new UsageError({ code: "codes-invalid", where: `${where}: ${field}`, expected, got });
  };
  const { nTokens, dSae, rowStart, latent, value } = codes;
  if (!(nTokens >= 1)) fail("nTokens", "at least one token", String(nTokens));
  if (!(dSae >= 1)) fail("dSae", "at least one latent", String(dSae));
  if (rowStart.length !== nTokens + 1 || rowStart[0] !== 0) {
    fail("rowStart", `${nTokens + 1} offsets from 0`, `${rowStart.length} from ${rowStart[0]}`);
  }
  const nnz = rowStart[nTokens];
  if (latent.length < nnz || value.length < nnz) {
    fail("latent, value", `${nnz} entries`, `${latent.length} and ${value.length}`);
  }
  for (let t = 0; t < nTokens; t++) {
    if (rowStart[t + 1] < rowStart[t]) fail("rowStart", "ascending offsets", `a fall at row ${t}`);
    let last = -1;
    for (let p = rowStart[t]; p < rowStart[t + 1]; p++) {
      if (!(latent[p] > last && latent[p] < dSae)) {
        fail("latent", `ascending latents below ${dSae}`, `${latent[p]} at row ${t}`);
      }
      last = latent[p];
      if (!(value[p] > 0 && value[p] < Infinity)) {
        fail("value", "positive finite activations", `${value[p]} at row ${t}`);
      }
    }
  }
}
