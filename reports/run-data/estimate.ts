// Figures with their intervals, as the documents of a run hold them.

/** A 95% interval. */
export type Interval = readonly [number, number] | null;

/** A number with its interval. */
export interface Estimate {
  readonly value: number | null;
  readonly ci: Interval;
}

/** A threshold max(floor, 99th percentile of the null). */
export interface Threshold {
  readonly floor: number;
  readonly null_p99: number | null;
  readonly used: number;
}

/** A ratio, or why there is none. */
export interface Score extends Estimate {
  readonly reason: string | null;
}
