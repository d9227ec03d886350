/**
 * @file The residual stream's map that LiGO publishes: E = [I; M], the same at every boundary. The norms of the child
 * see other statistics than the parent's, so h_big = E h_small holds nowhere exactly, not even right after growth at
 * any boundary but the embedding's.
 */
import { cholesky, solveCholesky } from "../../engine/index.ts";
import type { DenseMap } from "../map/vector-map.ts";

/** E = [I; M] for M [D − d, d], and its Moore–Penrose inverse R = (I + MᵀM)⁻¹ Eᵀ. */
export function stackedMap(M: ArrayLike<number>, d: number): DenseMap {
  const D = d + M.length / d;
  const E = new Float64Array(D * d); // [D, d]
  for (let i = 0; i < d; i++) E[i * d + i] = 1;
  for (let i = 0; i < M.length; i++) E[d * d + i] = M[i];
  const gram = new Float64Array(d * d); // EᵀE, lower half
  for (let row = 0; row < D; row++) {
    const values = E.subarray(row * d, (row + 1) * d);
    for (let i = 0; i < d; i++) {
      if (values[i] === 0) continue;
      for (let j = 0; j <= i; j++) gram[i * d + j] += values[i] * values[j];
    }
  }
  const factor = cholesky(gram, d);
  const R = new Float64Array(d * D); // [d, D]
  for (let row = 0; row < D; row++) {
    const column = E.slice(row * d, (row + 1) * d);
    solveCholesky(factor, d, column);
    for (let i = 0; i < d; i++) R[i * D + row] = column[i];
  }
  return { E, R, d, D };
}
