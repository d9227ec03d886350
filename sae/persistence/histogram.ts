// Counts over fixed bins, so that a measure and its null can be drawn over one another.

/** Counts of the finite values; bin b holds edges[b] ≤ v < edges[b+1], the last its upper edge too. Values beyond the ends are left out. */
export function histogram(values: ArrayLike<number>, edges: readonly number[]): number[] {
  const bins = edges.length - 1;
  const counts: number[] = new Array(bins).fill(0);
  const [low, high] = [edges[0], edges[bins]];
  for (let v = 0; v < values.length; v++) {
    const value = values[v];
    if (!(value >= low && value <= high)) continue;
    let bin = Math.min(bins - 1, Math.floor(((value - low) / (high - low)) * bins));
    // The division can land one bin off next to an edge.
    if (value < edges[bin]) bin--;
    else if (bin < bins - 1 && value >= edges[bin + 1]) bin++;
    counts[bin]++;
  }
  return counts;
}

/** Equal bins of 1/20 from −1 to 1: correlations and cosines. */
export const unitEdges: readonly number[] = Array.from({ length: 41 }, (_, b) => (b - 20) / 20);
