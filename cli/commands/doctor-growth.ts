/** @file A check of the sums that growth takes over a parent's weights, on the active backend, against plain f64 loops. */
import { columnMeans, weightedSquares } from "../../src/engine/index.ts";
import { random } from "./doctor-numbers.ts";

/** Largest relative error of a weighted sum of squares and of column means, at odd sizes. */
export async function growthSumsError(): Promise<number> {
  const [rows, columns] = [37, 23];
  const x = random(rows * columns, "growth sums");
  const rowMass = Float64Array.from({ length: rows }, (_, i) => 1 + (i % 3));
  const columnMass = Float64Array.from({ length: columns }, (_, j) => 0.5 + (j % 4));
  let squares = 0;
  const means = new Float64Array(columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const value = x[i * columns + j];
      squares += rowMass[i] * columnMass[j] * value * value;
      means[j] += value / rows;
    }
  }
  const got = columnMeans(x, columns);
  const largest = Math.max(...means.map(Math.abs));
  const off = means.map((mean, j) => Math.abs(got[j] - mean) / largest);
  return Math.max(Math.abs(weightedSquares(x, rowMass, columnMass) / squares - 1), ...off);
}
