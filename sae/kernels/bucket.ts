/**
 * @file Sparse codes regrouped by latent (CSR to CSC, a stable counting sort), so that each latent's
 * weights are touched once per step.
 */
import type { CodeArrays } from "./reconstruct.ts";

/** For each latent, its rows (ascending) and the positions of its codes in the CSR arrays. */
export interface LatentBuckets {
  start: Int32Array; // [≥ dSae + 1]
  row: Int32Array; // [≥ nnz]
  position: Int32Array; // [≥ nnz]
}

/** Empty buckets, to be filled by `bucketByLatent`. */
export function createBuckets(): LatentBuckets {
  return { start: new Int32Array(0), row: new Int32Array(0), position: new Int32Array(0) };
}

/** Regroups the codes of `nRows` rows by latent into `out`, whose arrays grow as needed. */
export function bucketByLatent(
  codes: CodeArrays,
  nRows: number,
  dSae: number,
  out: LatentBuckets,
): void {
  const { rowStart, latent } = codes;
  const nnz = rowStart[nRows];
  if (out.start.length < dSae + 1) out.start = new Int32Array(dSae + 1);
  if (out.row.length < nnz) {
    out.row = new Int32Array(nnz);
    out.position = new Int32Array(nnz);
  }
  const { start, row, position } = out;
  start.fill(0);
  for (let p = 0; p < nnz; p++) start[latent[p] + 1] += 1;
  for (let i = 0; i < dSae; i++) start[i + 1] += start[i];
  // filling moves each start to its bucket's end; shifting by one restores them
  for (let t = 0; t < nRows; t++) {
    for (let p = rowStart[t]; p < rowStart[t + 1]; p++) {
      const q = start[latent[p]]++;
      row[q] = t;
      position[q] = p;
    }
  }
  for (let i = dSae; i > 0; i--) start[i] = start[i - 1];
  start[0] = 0;
}
