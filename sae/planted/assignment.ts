/**
 * @file The linear assignment problem, for the matching that PW-MCC makes: each row gets a column of its own so that the
 * sum of scores is the largest (shortest augmenting paths with potentials: Jonker & Volgenant 1987). Time in rows² · columns.
 */

/** The column of each row, [rows]; rows ≤ columns. `score` is [rows, columns], all finite. */
export function bestAssignment(
  score: ArrayLike<number>,
  rows: number,
  columns: number,
): Int32Array {
  if (rows > columns) throw new Error(`internal: ${rows} rows do not fit in ${columns} columns`);
  const rowPotential = new Float64Array(rows + 1);
  const columnPotential = new Float64Array(columns + 1);
  // Columns and rows count from 1; 0 stands for none.
  const rowOf = new Int32Array(columns + 1);
  for (let start = 1; start <= rows; start++) {
    const least = new Float64Array(columns + 1).fill(Infinity);
    const before = new Int32Array(columns + 1);
    const seen = new Uint8Array(columns + 1);
    rowOf[0] = start;
    let at = 0;
    while (rowOf[at] !== 0) {
      seen[at] = 1;
      const i = rowOf[at];
      let delta = Infinity;
      let next = 0;
      for (let j = 1; j <= columns; j++) {
        if (seen[j]) continue;
        const cost = -score[(i - 1) * columns + j - 1] - rowPotential[i] - columnPotential[j];
        if (cost < least[j]) {
          least[j] = cost;
          before[j] = at;
        }
        if (least[j] < delta) {
          delta = least[j];
          next = j;
        }
      }
      for (let j = 0; j <= columns; j++) {
        if (seen[j]) {
          rowPotential[rowOf[j]] += delta;
          columnPotential[j] -= delta;
        } else {
          least[j] -= delta;
        }
      }
      at = next;
    }
    for (; at !== 0; at = before[at]) rowOf[at] = rowOf[before[at]];
  }
  const columnOf = new Int32Array(rows).fill(-1);
  for (let j = 1; j <= columns; j++) if (rowOf[j] > 0) columnOf[rowOf[j] - 1] = j - 1;
  return columnOf;
}
