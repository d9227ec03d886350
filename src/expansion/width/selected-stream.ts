/**
 * @file Streams whose coordinates are those of the parent, repeated, with zeros behind them: the maps of every width
 * method but LEMON under LayerNorm are of this kind.
 */
import type { DenseMap } from "../map/vector-map.ts";
import type { AxisMap } from "../plan/axis-map.ts";
import type { WidthGrowth } from "./width-growth.ts";

/** The indices 0 to n − 1 over and over, N of them. */
export function repeatedIndices(n: number, N: number): Int32Array {
  return Int32Array.from({ length: N }, (_, i) => i % n);
}

/**
 * A stream of copies alone, each coordinate of the parent at least once: what reads it divides by the number of
 * copies, norms are copied, and a final norm before tied embeddings divides by the number of copies as well.
 */
export function copiedStream(source: Int32Array, d: number, tied: boolean): WidthGrowth {
  const copy = { source, weight: null };
  const shared = sharedAxis(source, d);
  const finalNorm = tied ? shared : copy;
  const grows = source.length > d;
  return {
    read: shared,
    write: copy,
    norm: copy,
    finalNorm,
    gainFactor: 1,
    residual: grows ? selectionMap(copy, d) : null,
    normed: grows ? selectionMap(copy, d) : null,
    final: grows ? selectionMap(finalNorm, d) : null,
  };
}

/** Why copies of a stream's coordinates change what a norm makes of it: null where all are copied equally often. */
export function unevenCopies(d: number, D: number): string | null {
  return D % d === 0
    ? null
    : `${D} is no multiple of ${d}, so that norms count some coordinates more often than others; lemon is exact there`;
}

/** How often each of n indices is the source of an entry: [n]. Negative sources count for nothing. */
function copyCounts(source: Int32Array, n: number): Int32Array {
  const counts = new Int32Array(n);
  for (const from of source) if (from >= 0) counts[from]++;
  return counts;
}

/** The axis with each copy weighted by 1 over the number of copies, and other entries by 1: copies sum to the original. */
function sharedAxis(source: Int32Array, n: number): AxisMap {
  const counts = copyCounts(source, n);
  if (counts.every((count) => count === 1)) return { source, weight: null };
  return {
    source,
    weight: Float64Array.from(source, (from) => (from < 0 ? 1 : 1 / counts[from])),
  };
}

/**
 * E of an axis of indices, with rows of zeros where it has none, and its Moore–Penrose inverse: the columns of E
 * don't overlap, so that R = E's transpose with row i over Σ w² of the copies of i.
 */
export function selectionMap({ source, weight }: AxisMap, d: number): DenseMap {
  const D = source.length;
  const E = new Float64Array(D * d); // [D, d]
  const R = new Float64Array(d * D); // [d, D]
  const squares = new Float64Array(d);
  source.forEach((from, row) => {
    if (from >= 0) squares[from] += (weight?.[row] ?? 1) ** 2;
  });
  source.forEach((from, row) => {
    if (from < 0) return;
    const w = weight?.[row] ?? 1;
    E[row * d + from] = w;
    R[from * D + row] = w / squares[from];
  });
  return { E, R, d, D };
}
