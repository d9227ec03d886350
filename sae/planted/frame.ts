/** @file The planted map as a comparison's frame: E for decoders, Rᵀ = E for encoders. */
import type { Frame } from "../persistence/index.ts";
import { mapRows } from "./firings.ts";
import type { PlantedWorld } from "./world.ts";

/** How the parent's directions look in the child's activations. */
export function frameOf(world: PlantedWorld): Frame {
  const map = (rows: Float32Array): Float32Array => mapRows(world, rows);
  return { decoder: map, encoder: map };
}
