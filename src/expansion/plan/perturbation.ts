/**
 * @file What a plan adds to the structural part of a matrix: fresh entries drawn at the parent's
 * scale, and the noise that breaks the symmetry of copies (HyperCloning's ±η, LEMON's projection,
 * here for any number of copies). Computed in f64, shared by every executor of a plan.
 */
import type { Rng } from "../../engine/index.ts";
import { type AxisMap, copyGroups, FRESH, identityAxis, MEAN } from "./axis-map.ts";
import type { Fill, ParameterPlan } from "./growth-plan.ts";

type Numbers = Float32Array | Float64Array;

/** The `size` values of a parameter without a parent: a constant, or draws of a given deviation. */
export function fresh(size: number, fill: Fill, rng: Rng): Float64Array {
  if (fill === "parent-scale") throw new Error("internal: no parent to take the scale from");
  if (typeof fill === "number") return new Float64Array(size).fill(fill);
  return Float64Array.from({ length: size }, () => rng.normal() * fill.normal);
}

/**
 * The values to add to a parameter's structural part, in the child's shape, or null where nothing
 * is added. Deterministic in `rng`. Entries on a fresh index get the fill: the structure is 0 there.
 * A vector is a matrix of one row.
 */
export function perturbation(
  plan: ParameterPlan,
  parent: Numbers,
  parentColumns: number,
  rng: Rng,
): Float64Array | null {
  const [rows, columns] = matrixAxes(plan);
  const isFresh = (row: number, column: number) =>
    rows.source[row] === FRESH || columns.source[column] === FRESH;
  const anyFresh = rows.source.includes(FRESH) || columns.source.includes(FRESH);
  const spread = rows.source.includes(MEAN) ? (plan.rowSpread ?? 0) : 0;
  if (plan.noise === null && !anyFresh && spread === 0) return null;

  const nRow = rows.source.length;
  const nColumn = columns.source.length;
  const added = new Float64Array(nRow * nColumn);
  if (plan.noise !== null) {
    const isTurned = plan.noise.inputAxis === 1;
    const inputs = isTurned ? columns : rows;
    const groups = plan.noise.balanced
      ? copyGroups(inputs.source)
      : Array.from(inputs.source.keys(), (input) => [input]);
    const power = signalPower(plan, parent, parentColumns, groups.flat(), isTurned);
    const deviation = Math.sqrt(power / 10 ** (plan.noise.snrDb / 10));
    const place = isTurned
      ? (input: number, output: number) => output * nColumn + input
      : (input: number, output: number) => input * nColumn + output;
    addNoise(added, isTurned ? nRow : nColumn, place, groups, deviation, rng.fork("noise"));
  }
  if (spread > 0) addRowSpread(added, plan, parent, parentColumns, spread, rng.fork("rows"));
  if (anyFresh) {
    const stream = rng.fork("fresh");
    const scale = plan.fill === "parent-scale" ? rootMeanSquare(parent) : null;
    for (let row = 0; row < nRow; row++) {
      for (let column = 0; column < nColumn; column++) {
        if (!isFresh(row, column)) continue;
        const value = scale === null ? (plan.fill as number) : stream.normal() * scale;
        added[row * nColumn + column] = value;
      }
    }
  }
  return added;
}

/** Zero-sum noise within each group of more than one input, free noise on single inputs; variance deviation² either way. */
function addNoise(
  out: Float64Array,
  nOutput: number,
  place: (input: number, output: number) => number,
  groups: readonly (readonly number[])[],
  deviation: number,
  rng: Rng,
): void {
  for (const group of groups) {
    const n = group.length;
    const scale = n === 1 ? deviation : deviation * Math.sqrt(n / (n - 1));
    for (let output = 0; output < nOutput; output++) {
      const draws = group.map(() => rng.normal() * scale);
      const mean = n === 1 ? 0 : draws.reduce((sum, draw) => sum + draw, 0) / n;
      group.forEach((input, i) => {
        out[place(input, output)] = draws[i] - mean;
      });
    }
  }
}

/** Draws around each row that is the mean of rows, in the parent's width, taken to the child's as its columns are. */
function addRowSpread(
  out: Float64Array,
  plan: ParameterPlan,
  parent: Numbers,
  parentColumns: number,
  spread: number,
  rng: Rng,
): void {
  const [rows, columns] = matrixAxes(plan);
  const deviation = spread * deviationOfRows(parent, parentColumns);
  const draw = new Float64Array(parentColumns);
  rows.source.forEach((from, row) => {
    if (from !== MEAN) return;
    for (let j = 0; j < parentColumns; j++) draw[j] = deviation * rng.normal();
    const mean = draw.reduce((sum, value) => sum + value, 0) / parentColumns;
    const weight = plan.scale * (rows.weight?.[row] ?? 1);
    columns.source.forEach((source, column) => {
      if (source < 0 && source !== MEAN) return;
      const value = source === MEAN ? mean : draw[source];
      out[row * columns.source.length + column] += weight * (columns.weight?.[column] ?? 1) * value;
    });
  });
}

/** √ of the mean square of rows about their mean. */
function deviationOfRows(values: Numbers, nColumns: number): number {
  const nRows = values.length / nColumns;
  const means = new Float64Array(nColumns);
  for (let i = 0; i < values.length; i++) means[i % nColumns] += values[i] / nRows;
  let total = 0;
  for (let i = 0; i < values.length; i++) total += (values[i] - means[i % nColumns]) ** 2;
  return Math.sqrt(total / values.length);
}

/**
 * Mean square of the structural entries of the inputs `inputs` that are copied from the parent; with a scale of 0, of
 * what scale 1 would make of them.
 */
function signalPower(
  plan: ParameterPlan,
  parent: Numbers,
  parentColumns: number,
  inputs: readonly number[],
  isTurned: boolean,
): number {
  const [rowAxis, columnAxis] = matrixAxes(plan);
  const [inputAxis, outputAxis] = isTurned ? [columnAxis, rowAxis] : [rowAxis, columnAxis];
  let total = 0;
  let count = 0;
  for (const input of inputs) {
    const from = inputAxis.source[input];
    if (from < 0) continue;
    const inputWeight = (plan.scale || 1) * (inputAxis.weight?.[input] ?? 1);
    for (let output = 0; output < outputAxis.source.length; output++) {
      const source = outputAxis.source[output];
      if (source < 0) continue;
      const weight = inputWeight * (outputAxis.weight?.[output] ?? 1);
      const at = isTurned ? source * parentColumns + from : from * parentColumns + source;
      total += (weight * parent[at]) ** 2;
      count++;
    }
  }
  return count === 0 ? 0 : total / count;
}

function matrixAxes({ axes }: ParameterPlan): readonly AxisMap[] {
  return axes.length === 1 ? [identityAxis(1), axes[0]] : axes;
}

function rootMeanSquare(values: Numbers): number {
  let total = 0;
  for (const value of values) total += value * value;
  return Math.sqrt(total / values.length);
}
