// What the carry saves: SAE training tokens that the carried SAE needs to reach the fresh SAE's
// final FVU, over the fresh SAE's tokens (model stitching reports 0.5–0.7: arXiv 2506.06609).
// Training FVU is a noisy batch figure, so curves are smoothed before they are read.

/** One logged point of a training curve. */
export interface CurvePoint {
  readonly tokens: number;
  readonly fvu: number;
}

// Points on each side that a smoothed point averages over, and the share of a curve that is its end.
const reach = 2;
const tail = 0.1;

/** Centred running mean over up to 5 points (fewer at the ends); points without a finite FVU are left out. */
export function smoothedCurve(curve: readonly CurvePoint[]): CurvePoint[] {
  const points = curve.filter(({ tokens, fvu }) => Number.isFinite(tokens) && Number.isFinite(fvu));
  return points.map(({ tokens }, at) => {
    const span = Math.min(reach, at, points.length - 1 - at);
    const near = points.slice(at - span, at + span + 1);
    return { tokens, fvu: near.reduce((sum, { fvu }) => sum + fvu / near.length, 0) };
  });
}

/**
 * The ratio, averaged over the fresh seeds: the fresh SAE's final FVU is the mean of its last tenth
 * of points; the carried SAE reaches it where its smoothed curve first falls to it, linearly
 * interpolated. Null when it never does for one of the seeds, or a curve is empty.
 */
export function tokensRatio(
  carried: readonly CurvePoint[],
  fresh: readonly (readonly CurvePoint[])[],
): number | null {
  const descent = smoothedCurve(carried);
  if (descent.length === 0 || fresh.length === 0) return null;
  let sum = 0;
  for (const curve of fresh) {
    const points = curve.filter(({ fvu }) => Number.isFinite(fvu));
    const last = points.slice(-Math.max(1, Math.round(points.length * tail)));
    const target = last.reduce((total, { fvu }) => total + fvu / last.length, 0);
    const needed = last.length === 0 ? null : tokensToReach(descent, target);
    if (needed === null || !(last[last.length - 1].tokens > 0)) return null;
    sum += needed / last[last.length - 1].tokens;
  }
  return sum / fresh.length;
}

function tokensToReach(curve: readonly CurvePoint[], target: number): number | null {
  const at = curve.findIndex(({ fvu }) => fvu <= target);
  if (at <= 0) return at < 0 ? null : curve[0].tokens;
  const [before, after] = [curve[at - 1], curve[at]];
  const share = (before.fvu - target) / (before.fvu - after.fvu);
  return before.tokens + share * (after.tokens - before.tokens);
}
