/** Medians and quartiles of a few timings. */

/** The quantile q of values in any order, linear between neighbours (R's type 7); NaN of none. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  const at = q * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

/** The median. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** First and third quartile. */
export function quartiles(values: readonly number[]): [number, number] {
  return [quantile(values, 0.25), quantile(values, 0.75)];
}

/** The largest |a − b| / |b| over pairs; Infinity where one is not finite or there are none. */
export function largestRelativeError(got: readonly number[], want: readonly number[]): number {
  const n = Math.min(got.length, want.length);
  if (n === 0) return Number.POSITIVE_INFINITY;
  let worst = 0;
  for (let i = 0; i < n; i++) {
    const error = Math.abs(got[i] - want[i]) / Math.abs(want[i]);
    if (!Number.isFinite(error)) return Number.POSITIVE_INFINITY;
    worst = Math.max(worst, error);
  }
  return worst;
}
