/**
 * @file What a plan adds to the structural part of a matrix: fresh entries, and the noise that breaks the symmetry of
 * copies (HyperCloning's ±η, for any number of copies). The numbers that kernels add row by row, as one matrix in f64.
 */
import { freshOf, type GrowRecipe, noiseOf, normalRow, type Rng } from "../../engine/index.ts";
import { FRESH, MEAN } from "./axis-map.ts";
import type { Fill, ParameterPlan } from "./growth-plan.ts";
import { freshRecipe, recipeOf } from "./recipe.ts";

/** The values of a parameter without a parent: a constant, or draws of a given deviation. */
export function fresh(shape: readonly number[], fill: Fill, rng: Rng): Float64Array {
  const recipe = freshRecipe(shape, fill, rng);
  const out = new Float64Array(recipe.rows.length * recipe.columns.length);
  const write = freshOf(recipe);
  recipe.rows.forEach((_, row) => {
    write(row, true, out, row * recipe.columns.length);
  });
  return out;
}

/**
 * The values to add to a parameter's structural part, in the child's shape, or null where nothing
 * is added. Deterministic in `rng`. Entries on a fresh index get the fill: the structure is 0 there.
 */
export function perturbation(
  plan: ParameterPlan,
  parent: Float32Array | Float64Array,
  parentColumns: number,
  rng: Rng,
): Float64Array | null {
  const recipe = recipeOf(plan, parent, parentColumns, rng);
  const { rows, columns } = recipe;
  const isFresh = rows.includes(FRESH) || columns.includes(FRESH);
  if (plan.noise === null && !isFresh && recipe.meanSpread === 0) return null;
  const added = new Float64Array(rows.length * columns.length);
  const noise = noiseOf(recipe);
  const writeFresh = freshOf(recipe);
  rows.forEach((from, row) => {
    const at = row * columns.length;
    if (from !== FRESH) added.set(noise(row) ?? [], at);
    if (from === MEAN && recipe.meanSpread > 0) addSpread(recipe, row, added, at);
    writeFresh(row, from === FRESH, added, at);
  });
  return added;
}

/** Draws around a row that is the mean of rows, in the parent's width, taken to the child's as its columns are. */
function addSpread(recipe: GrowRecipe, row: number, out: Float64Array, at: number): void {
  const { columns, columnWeights, rowWeights, meanSpread, meanKey, nColumns } = recipe;
  const draws = new Float32Array(nColumns);
  normalRow(meanKey, row, draws);
  const mean = draws.reduce((sum, value) => sum + value, 0) / nColumns;
  columns.forEach((source, column) => {
    if (source < 0 && source !== MEAN) return;
    const weight = meanSpread * rowWeights[row] * (columnWeights[column] ?? 1);
    out[at + column] += weight * (source === MEAN ? mean : draws[source]);
  });
}
