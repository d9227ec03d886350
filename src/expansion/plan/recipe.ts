/**
 * @file From a parameter's plan and the parent's numbers to the recipe that a kernel follows row by row: the same for
 * every backend, and for any block of rows. What depends on all numbers of the parent (signal power, the mean row) is
 * worked out here, once.
 */
import {
  columnMeans,
  type DrawKey,
  type GrowRecipe,
  type Rng,
  weightedSquares,
} from "../../engine/index.ts";
import { sizeOf } from "../../io/index.ts";
import { type AxisMap, copyGroups, FRESH, identityAxis, MEAN } from "./axis-map.ts";
import type { Fill, ParameterPlan } from "./growth-plan.ts";

type Numbers = Float32Array | Float64Array;

const none = new Float64Array(0);

/**
 * The recipe for a parameter that has a parent, `parent` [n, nColumns]. A vector is a matrix of one row. Deterministic
 * in `rng`.
 */
export function recipeOf(
  plan: ParameterPlan,
  parent: Numbers,
  nColumns: number,
  rng: Rng,
): GrowRecipe {
  const { name, shape, scale, fill } = plan;
  const [rows, columns] = matrixAxes(plan);
  const size = rows.source.length * columns.source.length;
  if (size !== sizeOf(shape) || plan.axes.length > 2) {
    throw new Error(`internal: ${name} would grow to ${size} numbers, not [${shape}]`);
  }
  if (typeof fill === "object") throw new Error(`internal: ${name} has a parent to fill it`);
  const isFresh = rows.source.includes(FRESH) || columns.source.includes(FRESH);
  const isDrawn = isFresh && fill === "parent-scale";
  return {
    nColumns,
    rows: rows.source,
    rowWeights: Float64Array.from(rows.source, (_, i) => scale * (rows.weight?.[i] ?? 1)),
    ...meanOf(plan, parent, nColumns, rng),
    columns: columns.source,
    columnWeights: columns.weight ?? none,
    ...noiseOf(plan, parent, nColumns, rng),
    freshValue: typeof fill === "number" ? fill : 0,
    freshScale: isDrawn ? rootMeanSquare(parent, nColumns) : 0,
    freshKey: keyOf(rng.fork("fresh")),
  };
}

/** The recipe for a parameter that has no parent: every entry is fresh. */
export function freshRecipe(shape: readonly number[], fill: Fill, rng: Rng): GrowRecipe {
  if (fill === "parent-scale") throw new Error("internal: no parent to take the scale from");
  const width = shape.at(-1) ?? 1;
  const nRows = sizeOf(shape) / width;
  const key: DrawKey = [0, 0];
  return {
    nColumns: 0,
    rows: new Int32Array(nRows).fill(FRESH),
    rowWeights: new Float64Array(nRows),
    ...{ meanRow: none, meanSpread: 0, meanKey: key },
    columns: new Int32Array(width).fill(FRESH),
    columnWeights: none,
    ...{ noiseAxis: 0, slots: new Int32Array(0), coefficients: none, noiseKey: key },
    freshValue: typeof fill === "number" ? fill : 0,
    freshScale: typeof fill === "number" ? 0 : fill.normal,
    freshKey: keyOf(rng.fork("fresh")),
  };
}

function meanOf(
  plan: ParameterPlan,
  parent: Numbers,
  nColumns: number,
  rng: Rng,
): Pick<GrowRecipe, "meanRow" | "meanSpread" | "meanKey"> {
  const meanKey = keyOf(rng.fork("rows"));
  const isAsked = matrixAxes(plan)[0].source.includes(MEAN);
  if (!isAsked) return { meanRow: none, meanSpread: 0, meanKey };
  const meanRow = columnMeans(parent, nColumns);
  if (!plan.rowSpread) return { meanRow, meanSpread: 0, meanKey };
  // the mean square of rows about their mean
  const ones = new Float64Array(nColumns).fill(1);
  const rows = new Float64Array(parent.length / nColumns).fill(1);
  const square = weightedSquares(parent, rows, ones) / parent.length;
  const ofMean = meanRow.reduce((sum, mean) => sum + mean * mean, 0) / nColumns;
  const deviation = Math.sqrt(Math.max(0, square - ofMean));
  return { meanRow, meanSpread: plan.rowSpread * deviation, meanKey };
}

type RecipeNoise = Pick<GrowRecipe, "noiseAxis" | "slots" | "coefficients" | "noiseKey">;

/**
 * Copies of one input get numbers that sum to zero: two get z and −z, more the differences of neighbours in a ring,
 * so that an entry's noise follows from two draws however many copies there are. Variance deviation² either way.
 */
function noiseOf(plan: ParameterPlan, parent: Numbers, nColumns: number, rng: Rng): RecipeNoise {
  const { noise } = plan;
  const noiseAxis = noise?.inputAxis ?? 0;
  const noiseKey = keyOf(rng.fork("noise"));
  const silent = { noiseAxis, slots: new Int32Array(0), coefficients: none, noiseKey };
  if (noise === null) return silent;
  const { source } = matrixAxes(plan)[noiseAxis];
  const groups = noise.balanced
    ? copyGroups(source)
    : Array.from(source.keys(), (input) => [input]);
  const power = signalPower(plan, parent, nColumns, groups.flat());
  if (power === 0) return silent;
  const deviation = Math.sqrt(power / 10 ** (noise.snrDb / 10));
  const n = source.length;
  const slots = new Int32Array(2 * n);
  const coefficients = new Float64Array(2 * n);
  let slot = 0;
  for (const group of groups) {
    const isRing = group.length > 2;
    group.forEach((input, i) => {
      slots[input] = slot + (isRing ? i : 0);
      coefficients[input] = isRing ? deviation * Math.SQRT1_2 : i === 0 ? deviation : -deviation;
      if (!isRing) return;
      slots[n + input] = slot + ((i + 1) % group.length);
      coefficients[n + input] = -coefficients[input];
    });
    slot += isRing ? group.length : 1;
  }
  return { noiseAxis, slots, coefficients, noiseKey };
}

/**
 * Mean square of the structural entries of the inputs `inputs` that are copied from the parent; with a scale of 0, of
 * what scale 1 would make of them.
 */
function signalPower(
  plan: ParameterPlan,
  parent: Numbers,
  nColumns: number,
  inputs: readonly number[],
): number {
  const isTurned = plan.noise?.inputAxis === 1;
  const axes = matrixAxes(plan);
  const [input, output] = isTurned ? [axes[1], axes[0]] : axes;
  const sizes = [parent.length / nColumns, nColumns];
  const [nInput, nOutput] = isTurned ? [sizes[1], sizes[0]] : sizes;
  const read = masses(input, inputs, nInput, plan.scale || 1);
  const written = masses(output, output.source.keys(), nOutput, 1);
  const count = read.count * written.count;
  if (count === 0) return 0;
  const [rows, columns] = isTurned ? [written, read] : [read, written];
  return weightedSquares(parent, rows.mass, columns.mass) / count;
}

/** For each index of the parent, the sum of squared factors over the places it is copied to; and how many there are. */
function masses(
  { source, weight }: AxisMap,
  places: Iterable<number>,
  nParent: number,
  scale: number,
): { readonly mass: Float64Array; readonly count: number } {
  const mass = new Float64Array(nParent);
  let count = 0;
  for (const i of places) {
    if (source[i] < 0) continue;
    mass[source[i]] += (scale * (weight?.[i] ?? 1)) ** 2;
    count += 1;
  }
  return { mass, count };
}

function matrixAxes({ axes }: ParameterPlan): readonly AxisMap[] {
  return axes.length === 1 ? [identityAxis(1), axes[0]] : axes;
}

function rootMeanSquare(values: Numbers, nColumns: number): number {
  const rows = new Float64Array(values.length / nColumns).fill(1);
  const total = weightedSquares(values, rows, new Float64Array(nColumns).fill(1));
  return Math.sqrt(total / values.length);
}

function keyOf(rng: Rng): DrawKey {
  const word = (): number => Math.floor(rng.next() * 2 ** 32);
  return [word(), word()];
}
