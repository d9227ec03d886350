/** Growing a model, the map from the parent to the child, and how exact it came out. */

export {
  type ChildConfig,
  type ChildGrowth,
  type ChildSizes,
  childConfig,
  sizeInfo,
} from "./child-config.ts";
export type { ChildLayer, DepthMethodName, Silence } from "./depth/child-layer.ts";
export type { Positions } from "./depth/identity.ts";
export { type ExpandCheckpointOptions, expandCheckpoint } from "./expand-checkpoint.ts";
export {
  type ExpandOptions,
  expandModel,
  type PlannedExpansion,
  planExpansion,
  plannedMap,
} from "./expand-model.ts";
export { growCheckpoint } from "./grow-checkpoint.ts";
export { type GrowthText, textNeeded } from "./ligo/grow-with-ligo.ts";
export { type LearnOptions, type LearnStep, learnDefaults } from "./ligo/learn-operators.ts";
export { composeMaps } from "./map/compose-maps.ts";
export {
  type BoundaryError,
  carriedHook,
  type Exactness,
  type ExpansionMap,
  type HookMap,
  headCopies,
  hookEntry,
  type LearnedGrowth,
  type MapKind,
  mapKind,
  mapPoints,
  mapReadouts,
  mapVectors,
  neuronCopies,
  pullBack,
  type SizeInfo,
  type UnitCopy,
  vectorMap,
} from "./map/expansion-map.ts";
export { fitRidge, PairSums } from "./map/fit-map.ts";
export { readMap, writeMap } from "./map/map-file.ts";
export {
  applyE,
  applyReadout,
  type DenseMap,
  grownWidth,
  isFitted,
  parentWidth,
  type Rows,
  type VectorMap,
} from "./map/vector-map.ts";
export { measureExactness } from "./measure/exactness.ts";
export { expertSpread } from "./measure/expert-spread.ts";
export { type FitOptions, type FitSequences, fitMaps } from "./measure/fit-maps.ts";
export { type ChildActivations, copySpread, offImageEnergy } from "./measure/symmetry.ts";
export { type Drift, type WeightDrift, weightDrift } from "./measure/weight-drift.ts";
export { defaultNoiseDb, type GrowthFlags, parseGrowth } from "./parse-growth.ts";
export { executePlan } from "./plan/execute-plan.ts";
export type { FanOut } from "./plan/fan-out.ts";
export { growMoments, type MomentPolicy } from "./plan/grow-moments.ts";
export type { GrowthPlan, Noise, ParameterPlan } from "./plan/growth-plan.ts";
export { inheritedEntries } from "./plan/inherited-entries.ts";
export type {
  GrowthMethodName,
  NormKind,
  WidthClaims,
  WidthGrowth,
  WidthMethod,
  WidthMethodName,
} from "./width/width-growth.ts";
export { growthMethods, widthMethods } from "./width/width-methods.ts";
