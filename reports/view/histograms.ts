/**
 * Best correlations and cosines to the own start as shares per bin, over their nulls, with the
 * thresholds. The axis is cut to the bins that hold anything.
 */
import type { Threshold } from "../run-data/estimate.ts";
import type { PersistenceSummary } from "../run-data/persistence.ts";

/** A histogram in front of its controls; every series is shares of its own total, one per bin. */
export interface HistogramView {
  readonly edges: readonly number[]; // [bins + 1]
  /** Filled bars. */
  readonly bars: readonly number[];
  readonly barsLabel: string;
  /** A step line; null where that arm was not trained. */
  readonly line: readonly number[] | null;
  readonly lineLabel: string;
  /** A pale area behind. */
  readonly behind: readonly number[] | null;
  readonly behindLabel: string;
  readonly threshold: number;
  readonly nullP99: number | null;
}

/** Best correlation per feature: carried, fresh, and the token-shift null. */
export function correlationHistogram(document: PersistenceSummary | null): HistogramView | null {
  if (document?.histograms == null) return null;
  const { edges, correlation } = document.histograms;
  return view(
    edges,
    correlation.carried,
    correlation.fresh,
    correlation.null,
    document.thresholds.correlation,
    ["carried SAE", "fresh SAEs", "token-shift null"],
  );
}

/** Cosine to the own start per feature: carried, on random weights, and the random-direction null. */
export function cosineHistogram(document: PersistenceSummary | null): HistogramView | null {
  if (document?.histograms == null) return null;
  const { edges, cosine } = document.histograms;
  return view(edges, cosine.carried, cosine.reinit, cosine.null, document.thresholds.cosine, [
    "carried SAE",
    "on random weights",
    "random-direction null",
  ]);
}

function view(
  edges: readonly number[],
  bars: readonly number[],
  line: readonly number[],
  behind: readonly number[],
  threshold: Threshold,
  [barsLabel, lineLabel, behindLabel]: readonly [string, string, string],
): HistogramView | null {
  const first = bars.findIndex((_, bin) => bars[bin] + line[bin] + behind[bin] > 0);
  if (first < 0) return null;
  // never cut into the part above zero: the axis should show how far from chance things are
  const zero = edges.findIndex((edge) => edge >= 0);
  const from = Math.min(first, Math.max(0, zero));
  const cut = (counts: readonly number[]): readonly number[] => {
    const total = counts.reduce((sum, n) => sum + n, 0);
    return counts.slice(from).map((n) => (total === 0 ? 0 : n / total));
  };
  const orNull = (counts: readonly number[]): readonly number[] | null =>
    counts.some((n) => n > 0) ? cut(counts) : null;
  return {
    edges: edges.slice(from),
    bars: cut(bars),
    barsLabel,
    line: orNull(line),
    lineLabel,
    behind: orNull(behind),
    behindLabel,
    threshold: threshold.used,
    nullP99: threshold.null_p99,
  };
}
