/**
 * Rows of a grown matrix as plain loops: entries gathered from the parent's rows with their factors, noise and fresh
 * numbers by place. Products and sums in f64 in one order, rounded once, so that whoever runs it (the native addon
 * has the same loops) makes the same bits. What the numbers mean is said in src/expansion/plan.
 */
import { type DrawKey, normalRow } from "./normal-rows.ts";

/** In place of a row or column of the parent: the mean over its axis. */
export const meanSource = -1;

/** In place of a row or column of the parent: nothing, the entry is fresh. */
export const freshSource = -2;

/** In place of a row or column of the parent: nothing, and the entry is 0 unless the other axis is fresh. */
export const zeroSource = -3;

/** How each row of a grown matrix is made. */
export interface GrowRecipe {
  /** Columns of the parent. */
  readonly nColumns: number;
  /** The parent's row for each of the child's, or one of the three above, and its factor. */
  readonly rows: Int32Array; // [nRows]
  readonly rowWeights: Float64Array; // [nRows]
  /** The mean row of the parent; empty where no row asks for it. */
  readonly meanRow: Float64Array; // [nColumns]
  /** Deviation of the normal numbers that are added to the mean row, anew for each row that is one. */
  readonly meanSpread: number;
  readonly meanKey: DrawKey;
  /** The same for columns; without factors where all are 1. */
  readonly columns: Int32Array; // [width]
  readonly columnWeights: Float64Array; // [width] or empty
  /**
   * Noise: input i gets c[i]·z(s[i]) + c[n + i]·z(s[n + i]), z a normal number for each slot s and output. Inputs
   * are the rows or the columns; empty = none.
   */
  readonly noiseAxis: 0 | 1;
  readonly slots: Int32Array; // [2·inputs]
  readonly coefficients: Float64Array; // [2·inputs]
  readonly noiseKey: DrawKey;
  /** Fresh entries are `freshValue`, or normal with deviation `freshScale` where that isn't 0. */
  readonly freshValue: number;
  readonly freshScale: number;
  readonly freshKey: DrawKey;
}

/** Writes rows `first`… of the child, as many as `out` holds. */
export function growRows(
  parent: Float32Array, // [n, nColumns]
  recipe: GrowRecipe,
  first: number,
  out: Float32Array, // [rows, width]
): void {
  const { nColumns, rows, rowWeights, columns, columnWeights } = recipe;
  const width = columns.length;
  const line = new Float64Array(nColumns + 2); // a row of the parent, its mean, and 0
  const place = columns.map((from) =>
    from >= 0 ? from : nColumns + (from === meanSource ? 0 : 1),
  );
  const hasMean = columns.includes(meanSource);
  const aroundMean = meanRowOf(recipe);
  const noise = noiseOf(recipe);
  const fresh = freshOf(recipe);
  for (let row = first, at = 0; at < out.length; row++, at += width) {
    const from = rows[row];
    if (from !== freshSource) {
      const source = from === meanSource ? aroundMean(row) : parent;
      const start = from === meanSource ? 0 : from * nColumns;
      const weight = rowWeights[row];
      for (let j = 0; j < nColumns; j++) {
        line[j] = from === zeroSource ? 0 : source[start + j] * weight;
      }
      if (hasMean) line[nColumns] = sumOfLanes(line, nColumns) / nColumns;
      const added = noise(row);
      for (let j = 0; j < width; j++) {
        let value = line[place[j]];
        if (columnWeights.length > 0) value *= columnWeights[j];
        out[at + j] = added ? value + added[j] : value;
      }
    }
    fresh(row, from === freshSource, out, at);
  }
}

/** What a row that is the mean starts from. Valid until the next call. */
export function meanRowOf({
  meanRow,
  meanSpread,
  meanKey,
}: GrowRecipe): (row: number) => Float64Array {
  if (meanSpread === 0) return () => meanRow;
  const spread = new Float64Array(meanRow.length);
  const z = new Float32Array(meanRow.length);
  return (row) => {
    normalRow(meanKey, row, z);
    for (let j = 0; j < z.length; j++) spread[j] = meanRow[j] + meanSpread * z[j];
    return spread;
  };
}

/** The noise on a row, null where it has none. Valid until the next call. */
export function noiseOf(recipe: GrowRecipe): (row: number) => Float64Array | null {
  const { slots, coefficients: c, noiseKey, noiseAxis, columns } = recipe;
  const inputs = slots.length / 2;
  if (inputs === 0) return () => null;
  const width = columns.length;
  const added = new Float64Array(width);
  if (noiseAxis === 0) {
    const [z, other] = [new Float32Array(width), new Float32Array(width)];
    return (row) => {
      const [a, b] = [c[row], c[inputs + row]];
      if (a === 0 && b === 0) return null;
      normalRow(noiseKey, slots[row], z);
      if (b !== 0) normalRow(noiseKey, slots[inputs + row], other);
      for (let j = 0; j < width; j++) added[j] = b === 0 ? a * z[j] : a * z[j] + b * other[j];
      return added;
    };
  }
  const z = new Float32Array(slots.reduce((most, slot) => Math.max(most, slot + 1), 0));
  return (row) => {
    normalRow(noiseKey, row, z);
    for (let j = 0; j < width; j++) {
      added[j] = c[j] * z[slots[j]] + c[inputs + j] * z[slots[inputs + j]];
    }
    return added;
  };
}

/** Writes the fresh entries of a row that begins at `at`. */
export function freshOf(
  recipe: GrowRecipe,
): (row: number, isWhole: boolean, out: Float32Array | Float64Array, at: number) => void {
  const { columns, freshValue, freshScale, freshKey } = recipe;
  const width = columns.length;
  const isAny = columns.includes(freshSource);
  const draws = freshScale === 0 ? null : new Float32Array(width);
  return (row, isWhole, out, at) => {
    if (!isWhole && !isAny) return;
    if (draws) normalRow(freshKey, row, draws);
    for (let j = 0; j < width; j++) {
      if (!isWhole && columns[j] !== freshSource) continue;
      out[at + j] = draws ? freshScale * draws[j] : freshValue;
    }
  };
}

const lanes = 16;

/** Σ of the first n numbers: sixteen sums, added in order, then the rest. The addon's order. */
function sumOfLanes(values: Float64Array, n: number): number {
  const totals = new Float64Array(lanes);
  const whole = n - (n % lanes);
  for (let i = 0; i < whole; i += lanes) {
    for (let lane = 0; lane < lanes; lane++) totals[lane] += values[i + lane];
  }
  let total = 0;
  for (const part of totals) total += part;
  for (let i = whole; i < n; i++) total += values[i];
  return total;
}

/** Σ rowMass[i]·columnMass[j]·x[i, j]² for x [rowMass.length, columnMass.length]; a row's sum by lanes, rows in order. */
export function weightedSquares(
  x: Float32Array | Float64Array,
  rowMass: Float64Array,
  columnMass: Float64Array,
): number {
  const width = columnMass.length;
  const line = new Float64Array(width);
  let total = 0;
  for (let row = 0; row < rowMass.length; row++) {
    if (rowMass[row] === 0) continue;
    const at = row * width;
    for (let j = 0; j < width; j++) line[j] = columnMass[j] * (x[at + j] * x[at + j]);
    total += rowMass[row] * sumOfLanes(line, width);
  }
  return total;
}

/** The mean of each column of x [n, nColumns], added up row by row. */
export function columnMeans(x: Float32Array | Float64Array, nColumns: number): Float64Array {
  const means = new Float64Array(nColumns);
  for (let at = 0; at < x.length; at += nColumns) {
    for (let j = 0; j < nColumns; j++) means[j] += x[at + j];
  }
  const nRows = x.length / nColumns;
  return means.map((sum) => sum / nRows);
}
