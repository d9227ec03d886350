/**
 * @file Whether a child has left the image of E, in two measures: right after an exact expansion
 * both are rounding error, and while they stay so, "persistence" would be true by construction.
 */
import type { tf } from "../../engine/index.ts";
import { type ExpansionMap, mapVectors, pullBack, vectorMap } from "../map/expansion-map.ts";
import { equalCoordinates, grownWidth, isFitted, type Rows } from "../map/vector-map.ts";

/** Activations of the child, one row a token: a tensor [n, D] or its numbers. */
export type ChildActivations = tf.Tensor2D | Rows;

/**
 * Share of the energy outside the image of E: ‖(I − E E⁺)H‖² / ‖H‖². null for the identity, which nothing is outside
 * of, and for a fitted map, which has no such inverse.
 */
export async function offImageEnergy(
  map: ExpansionMap,
  tensor: string,
  activations: ChildActivations,
): Promise<number | null> {
  const linear = vectorMap(map, tensor);
  if (linear.kind === "identity" || isFitted(linear)) return null;
  const H = await rowsOf(activations);
  const inside = mapVectors(map, tensor, pullBack(map, tensor, H));
  let outside = 0;
  let total = 0;
  for (let i = 0; i < H.length; i++) {
    outside += (H[i] - inside[i]) ** 2;
    total += H[i] ** 2;
  }
  return outside / total;
}

/**
 * Variance among coordinates that are equal on the image of E (copies of one coordinate; LEMON's
 * free coordinates), averaged over those coordinates, over the mean square of all coordinates.
 * null where no two coordinates are equal.
 */
export async function copySpread(
  map: ExpansionMap,
  tensor: string,
  activations: ChildActivations,
): Promise<number | null> {
  const linear = vectorMap(map, tensor);
  const groups = equalCoordinates(linear);
  if (groups.length === 0 || isFitted(linear)) return null;
  const H = await rowsOf(activations);
  const width = grownWidth(linear, 0);
  let spread = 0;
  for (let start = 0; start < H.length; start += width) {
    for (const group of groups) {
      let mean = 0;
      for (const i of group) mean += H[start + i] / group.length;
      for (const i of group) spread += (H[start + i] - mean) ** 2;
    }
  }
  let total = 0;
  for (const value of H) total += value * value;
  const shared = groups.reduce((sum, group) => sum + group.length, 0);
  return spread / shared / (total / width);
}

async function rowsOf(activations: ChildActivations): Promise<Rows> {
  if (activations instanceof Float32Array || activations instanceof Float64Array) {
    return activations;
  }
  return (await activations.data()) as Float32Array;
}
