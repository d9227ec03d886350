// Persistence of features between two dictionaries on the same tokens: what other parts may use.
export {
  type AblatedSide,
  type AblationEffects,
  type AblationOptions,
  ablationEffects,
} from "./ablation.ts";
export { benjaminiHochberg } from "./benjamini-hochberg.ts";
export { persistenceColumns } from "./columns.ts";
export { comparePersistence, type Persistence } from "./compare.ts";
export { type LevelledFirings, type PairOverlap, pairOverlap, withLevels } from "./containment.ts";
export { correlationMatches, type Matches, type MatchOptions } from "./correlation.ts";
export type {
  ArmDocument,
  CellDocument,
  PersistenceDocument,
  ThresholdDocument,
  VerdictCounts,
} from "./document.ts";
export { type CellName, cellNames, type Estimate } from "./estimands.ts";
export { type Firings, firingCount, firingsOf } from "./firings.ts";
export {
  type Cohort,
  cohorts,
  type FeatureHistory,
  featureHistories,
  type HistoryStage,
  type Survival,
  type SurvivalPoint,
} from "./history.ts";
export {
  type ArmInput,
  type ArmRole,
  type Dictionary,
  type Frame,
  type InexactGrowth,
  identityFrame,
  type LatentLineage,
  type PersistenceInput,
  type PersistenceOptions,
  type ProbeInput,
  persistenceDefaults,
} from "./input.ts";
export type { ActivationStream } from "./probe.ts";
export type { PersistenceRows } from "./rows.ts";
export { type CurvePoint, smoothedCurve, tokensRatio } from "./tokens-ratio.ts";
export { type ChildVerdict, type ParentVerdict, parentVerdicts } from "./verdicts.ts";
export { wilson } from "./wilson.ts";
