/** Sparse autoencoders: what they are, training, evaluation, files, carrying and growing, and which features persist. */

export {
  type ActivationOptions,
  type KeptOptions,
  keptActivations,
  keptPairs,
  modelActivations,
  modelSequences,
  rowActivations,
  type Sequences,
} from "./activations.ts";
export {
  type ArchitectureTraits,
  architectureNames,
  architectures,
  type SaeArchitecture,
} from "./architectures.ts";
export { type CarriedSae, carriedBefore, carrySae } from "./carry.ts";
export { type CarryCheck, type CarryCheckOptions, checkCarry } from "./carry-check.ts";
export { checkPlannedNorm, type NormedRows } from "./carry-norm.ts";
export {
  type Artefact,
  type CrosscoderClass,
  type CrosscoderClasses,
  type CrosscoderClassOptions,
  crosscoderClassDefaults,
  crosscoderClasses,
} from "./crosscoder/classes.ts";
export {
  type Crosscoder,
  type CrosscoderArchitecture,
  type CrosscoderSide,
  joinRows,
  sideRows,
} from "./crosscoder/crosscoder.ts";
export { crosscoderKind, loadCrosscoder, saveCrosscoder } from "./crosscoder/crosscoder-folder.ts";
export {
  type CrosscoderDocument,
  crosscoderColumns,
  crosscoderDocument,
  type JudgedCrosscoder,
} from "./crosscoder/document.ts";
export { latentScaling, type ScalingSums } from "./crosscoder/latent-scaling.ts";
export {
  type CrosscoderFrame,
  type CrosscoderMeasures,
  measureCrosscoder,
  type PairBlock,
} from "./crosscoder/measure-crosscoder.ts";
export { pairedSequences, sideScales } from "./crosscoder/paired-sequences.ts";
export {
  type CrosscoderConfig,
  type CrosscoderOptions,
  type CrosscoderTrainer,
  createCrosscoderTrainer,
} from "./crosscoder/train-crosscoder.ts";
export {
  type CrosscoderWitness,
  crosscoderWitness,
  type WitnessClass,
} from "./crosscoder/witness.ts";
export { decode, reconstruct } from "./decode.ts";
export {
  type DumpSequenceOptions,
  type DumpSequences,
  type DumpUse,
  dumpSequences,
  sequenceBlocks,
  sequencePairs,
} from "./dump-sequences.ts";
export { encode, encodeAsync, preActivations } from "./encode.ts";
export {
  type EvaluateOptions,
  evaluateSae,
  evaluateSaes,
  type SaeEvaluation,
} from "./evaluate.ts";
export {
  type FeatureOptions,
  type FeatureTokens,
  featureColumns,
  type LatentFeature,
  latentFeatures,
} from "./features.ts";
export { equaliseThresholds, fold, foldDecoderNorms, foldRescaling } from "./fold.ts";
export { unknownHook } from "./formats/own-fields.ts";
export {
  type FoundSae,
  type ReadSaeOptions,
  readSaeFolder,
  requireHook,
  type SaeFormat,
  type SaeFormatTraits,
  saeFormatNames,
  saeFormatOf,
  saeFormats,
} from "./formats/sae-folder.ts";
export { loadSae, type SaveSaeOptions, saveSae } from "./formats/saelens.ts";
export { activationScale, scaleFrame } from "./frame.ts";
export { appendLatents, growSae } from "./grow.ts";
export { initialiseSae } from "./initialise.ts";
export { joinCodes } from "./join-codes.ts";
export {
  type Ancestor,
  appendLineage,
  freshLineage,
  type Lineage,
  readLineage,
  writeLineage,
} from "./lineage.ts";
export { pcaFvu, type RowBlocks } from "./pca.ts";
export {
  type ActivationStream,
  type ArmDocument,
  type ArmInput,
  type ArmRole,
  type CellDocument,
  type CellName,
  type Cohort,
  type CurvePoint,
  cohorts,
  comparePersistence,
  type Dictionary,
  type Estimate,
  type FeatureHistory,
  type Frame,
  featureHistories,
  type HistoryStage,
  identityFrame,
  type LatentLineage,
  type Persistence,
  type PersistenceDocument,
  type PersistenceInput,
  type PersistenceOptions,
  type PersistenceRows,
  type ProbeInput,
  persistenceColumns,
  persistenceDefaults,
  type ThresholdDocument,
  tokensRatio,
  type VerdictCounts,
  wilson,
} from "./persistence/index.ts";
export {
  type CalibrationRecord,
  type Confusion,
  calibrationStudy,
  classScore,
  injectDirection,
  oracleInput,
  oracleStudy,
  type PlantedOptions,
  type PlantedRecord,
  type PlantedTraining,
  type PlantedWorld,
  plantedActivations,
  plantedCounts,
  plantedDefaults,
  plantWorld,
  removeDirection,
  silenceHeads,
  trainedInput,
  trainedStudy,
} from "./planted/index.ts";
export {
  type CodesListener,
  evaluateOnActivations,
  type ReconstructionFigures,
} from "./reconstruction.ts";
export { rowScales } from "./row-scales.ts";
export { type ActivationRows, dumpRows, modelRows, type RowKeys } from "./rows/activation-rows.ts";
export { type EncodedRows, encodeRows } from "./rows/encode-rows.ts";
export { type FittedRows, fitRows } from "./rows/fit-rows.ts";
export { type PairedRows, type PairOptions, pairRows } from "./rows/pair-rows.ts";
export {
  normaliseRows,
  type RuntimeNorm,
  restoreRows,
  runtimeNorms,
  withoutNorm,
} from "./runtime-norm.ts";
export {
  type Gate,
  outputHook,
  type Sae,
  type SaeConfig,
  type SaeShape,
  type SparseCodes,
  saeConfig,
  saeKind,
  validateSae,
  writtenWidth,
} from "./sae.ts";
export {
  type CoreDocument,
  type CoreLatent,
  type CoreMetrics,
  type CoreSource,
  coreDocument,
  coreMetrics,
  type LatentCounts,
  latentCounts,
} from "./saebench.ts";
export {
  type ActivationSource,
  defaultChunkBatches,
  type SequenceReader,
  type SharedActivationOptions,
  type SharedActivations,
  sharedActivations,
} from "./shared-activations.ts";
export {
  defaultSaeRate,
  runtimeNormOf,
  type SaeTrainOptions,
  saeLearningRate,
  saeTrainDefaults,
  type TrainingNorm,
} from "./training/options.ts";
export type { SaeStepFigures } from "./training/step.ts";
export {
  createSaeTrainer,
  type SaeJob,
  type SaeTrainer,
  type SaeTrainProgress,
  type SaeTrainStep,
  trainSaes,
} from "./training/trainer.ts";
export { type TurnedSae, turnAll, turnLatents } from "./turn.ts";
