/** Growing a model, the map from the parent to the child, and how exact it came out. */

export { type ChildSizes, childConfig, sizeInfo } from "./child-config.ts";
export { composeMaps } from "./compose-maps.ts";
export { measureExactness } from "./exactness.ts";
export { executePlan } from "./execute-plan.ts";
export {
  type ExpandOptions,
  expandModel,
  type PlannedExpansion,
  planExpansion,
} from "./expand-model.ts";
export {
  type BoundaryError,
  type Exactness,
  type ExpansionMap,
  type HookMap,
  headCopies,
  hookEntry,
  mapReadouts,
  mapVectors,
  neuronCopies,
  pullBack,
  type SizeInfo,
  type UnitCopy,
  vectorMap,
} from "./expansion-map.ts";
export type { FanOut } from "./fan-out.ts";
export type { GrowthPlan, Noise, ParameterPlan } from "./growth-plan.ts";
export type { ChildLayer, Positions } from "./identity-depth.ts";
export { readMap, writeMap } from "./map-file.ts";
export { defaultNoiseDb, type GrowthFlags, parseGrowth } from "./parse-growth.ts";
export { type ChildActivations, copySpread, offImageEnergy } from "./symmetry.ts";
export { type DenseMap, grownWidth, parentWidth, type Rows, type VectorMap } from "./vector-map.ts";
