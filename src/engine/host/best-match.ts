/**
 * Plain loops under the search for the best matches between the rows of two matrices: rows made ready
 * for dot products, and the selection of the highest scores of a row.
 */

/** What two rows are compared by; `correlation` is Pearson's, over the positions of the rows. */
export type MatchMeasure = "dot" | "cosine" | "correlation";

/** The best matches of every row, best first. Where a row has fewer than `top` they end in −1 and NaN. */
export interface BestMatches {
  readonly index: Int32Array; // [n, top]
  readonly value: Float32Array; // [n, top]
}

/** A kernel that computes and selects in one go. */
export type BestMatchKernel = (
  a: Float32Array,
  b: Float32Array,
  width: number,
  top: number,
  measure: MatchMeasure,
) => BestMatches;

// Of Σx², what is left after taking out the mean is rounding error below this share.
const constantBelow = 1e-12;

/** Rows whose dot products are the measure, NaN throughout where a row has none. All sums are f64. */
export function unitRows(x: Float32Array, width: number, measure: MatchMeasure): Float32Array {
  if (measure === "dot") return x;
  const out = new Float32Array(x.length);
  for (let from = 0; from < x.length; from += width) {
    let sum = 0;
    let squares = 0;
    for (let s = from; s < from + width; s++) {
      sum += x[s];
      squares += x[s] * x[s];
    }
    const mean = measure === "correlation" ? sum / width : 0;
    let centred = 0;
    for (let s = from; s < from + width; s++) centred += (x[s] - mean) ** 2;
    const has = centred > constantBelow * squares && centred < Infinity;
    const scale = has ? 1 / Math.sqrt(centred) : Number.NaN;
    for (let s = from; s < from + width; s++) out[s] = (x[s] - mean) * scale;
  }
  return out;
}

/**
 * Puts `count` scores, those of rows `first`…, among the `top` best so far, which lie from `at` on in
 * descending order. First come, first served among equal ones.
 */
export function offerScores(
  scores: Float32Array,
  from: number,
  count: number,
  first: number,
  index: Int32Array,
  value: Float32Array,
  at: number,
  top: number,
): void {
  const last = at + top - 1;
  for (let c = 0; c < count; c++) {
    const score = scores[from + c];
    // of two NaN the empty place stays empty
    if (score <= value[last] || Number.isNaN(score)) continue;
    let slot = last;
    for (; slot > at && !(score <= value[slot - 1]); slot--) {
      value[slot] = value[slot - 1];
      index[slot] = index[slot - 1];
    }
    value[slot] = score;
    index[slot] = first + c;
  }
}
