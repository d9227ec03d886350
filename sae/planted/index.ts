// Planted truth: worlds whose features are known, what the rule and the field's usual rules say of them, and how right that is.
export { type BaselineVerdicts, baselines } from "./baselines.ts";
export { type CalibrationRecord, type Calls, calibrationStudy } from "./calibration.ts";
export {
  activationRows,
  drawFirings,
  featureCodes,
  type Side,
  type SourceFirings,
} from "./firings.ts";
export { type PlantedOptions, plantedCounts, plantedDefaults } from "./options.ts";
export { type OracleOptions, type OracleRun, oracleInput } from "./oracle.ts";
export {
  type ClassScore,
  type Confusion,
  classScore,
  confusionOf,
  featureOf,
  type Rate,
  rateOf,
  sumConfusions,
} from "./score.ts";
export { plantedActivations } from "./source.ts";
export { type Judged, oracleStudy, type PlantedRecord, trainedStudy } from "./study.ts";
export { injectDirection, removeDirection, silenceHeads } from "./surgery.ts";
export { type PlantedTraining, trainedInput } from "./trained.ts";
export {
  type ChildKind,
  type Feature,
  type ParentKind,
  type PlantedWorld,
  parentKinds,
  plantWorld,
  type Source,
} from "./world.ts";
