// Cosines between the directions of two dictionaries in one frame: the parent's decoder rows mapped
// by E, its encoder columns by Rᵀ (methods.md §2, §4). Raw, and whitened by the child's activations:
//   cos_w(u, v) = uᵀ Σ⁻¹ v / sqrt(uᵀ Σ⁻¹ u · vᵀ Σ⁻¹ v),  Σ = covariance + shrinkage · tr/D · I.
// The whitened one is shown, never used for a verdict. A cosine to a latent's own start is inertia
// (.89 on random weights in the pilot), so it is evidence only beside a functional match.
import { cholesky, solveLower } from "../../src/engine/index.ts";

/** Vectors of length 1 (or 0 where the given one was 0), one a row. */
export interface Directions {
  readonly n: number;
  readonly width: number;
  readonly rows: Float64Array; // [n, width]
}

/** Scales each row of `rows` [n, width] to length 1. */
export function directions(rows: ArrayLike<number>, width: number): Directions {
  const n = rows.length / width;
  if (!Number.isInteger(n)) {
    throw new Error(`internal: ${rows.length} numbers are not rows of ${width}`);
  }
  const unit = Float64Array.from(rows);
  for (let i = 0; i < n; i++) {
    let squares = 0;
    for (let a = i * width; a < (i + 1) * width; a++) squares += unit[a] * unit[a];
    const scale = squares > 0 ? 1 / Math.sqrt(squares) : 0;
    for (let a = i * width; a < (i + 1) * width; a++) unit[a] *= scale;
  }
  return { n, width, rows: unit };
}

/** Cosine of row i of `a` and row j of `b`; NaN where either is zero. */
export function rowCosine(a: Directions, i: number, b: Directions, j: number): number {
  const { width } = a;
  let dot = 0;
  let seenA = false;
  let seenB = false;
  for (let s = 0; s < width; s++) {
    const x = a.rows[i * width + s];
    const y = b.rows[j * width + s];
    dot += x * y;
    seenA ||= x !== 0;
    seenB ||= y !== 0;
  }
  return seenA && seenB ? Math.max(-1, Math.min(1, dot)) : Number.NaN;
}

/**
 * Directions whose dot products are the whitened cosines, by L⁻¹u with L Lᵀ = Σ + shrinkage·tr(Σ)/D·I.
 * `covariance` is [width, width].
 */
export function whitened(
  vectors: Directions,
  covariance: Float64Array,
  shrinkage: number,
): Directions {
  const { n, width, rows } = vectors;
  const L = cholesky(shrunk(covariance, width, shrinkage), width);
  const out = rows.slice();
  for (let i = 0; i < n; i++) solveLower(L, width, out.subarray(i * width, (i + 1) * width));
  return directions(out, width);
}

/** A copy of `covariance` [n, n] with shrinkage · tr/n added to its diagonal. */
export function shrunk(covariance: Float64Array, n: number, shrinkage: number): Float64Array {
  let trace = 0;
  for (let a = 0; a < n; a++) trace += covariance[a * n + a];
  const out = covariance.slice();
  // A covariance of zero (constant activations) still gets a positive diagonal.
  const added = trace > 0 ? (shrinkage * trace) / n : 1;
  for (let a = 0; a < n; a++) out[a * n + a] += added;
  return out;
}
