// Quantiles by linear interpolation between order statistics (Hyndman & Fan 1996, type 7: the
// default of numpy and R). One definition for percentiles of firings, nulls and intervals.

/** The p-quantile, 0 ≤ p ≤ 1, of ascending values; NaN when there are none. */
export function quantileOfSorted(sorted: ArrayLike<number>, p: number): number {
  const n = sorted.length;
  if (n === 0) return Number.NaN;
  const position = p * (n - 1);
  const below = Math.floor(position);
  const above = Math.min(below + 1, n - 1);
  return sorted[below] + (position - below) * (sorted[above] - sorted[below]);
}

/** The p-quantile of finite values in any order; NaN when there are none. Leaves `values` as it is. */
export function quantile(values: ArrayLike<number>, p: number): number {
  return quantileOfSorted(Float64Array.from(values).sort(), p);
}
