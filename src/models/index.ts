/** Language models: families, their hooks, checkpoints, training and held-out loss. */

export {
  type Checkpoint,
  type CheckpointSink,
  checkpointSink,
  loadConfig,
  loadModel,
  openCheckpoint,
  placeCheckpoint,
  readCheckpoint,
  saveModel,
} from "./checkpoint.ts";
export type { GrownSizes, ModelConfig, ModelSizes, NewModelSizes } from "./config.ts";
export { modelSizes, modelTypes, newConfig, parseConfig, resizedConfig } from "./families.ts";
export {
  activationsAt,
  activationsAtAll,
  attentionPatterns,
  type ForwardOptions,
  forwardHidden,
  forwardLogits,
  unembedding,
} from "./forward.ts";
export { type FrozenEntries, frozenByPattern } from "./frozen-entries.ts";
export { gpt2Shapes } from "./gpt2.ts";
export {
  type Gpt2Config,
  type Gpt2Sizes,
  gpt2Config,
  gpt2ConfigJson,
  parseGpt2Config,
} from "./gpt2-config.ts";
export { type HeldOutLoss, type HeldOutOptions, heldOutLoss } from "./held-out-loss.ts";
export { blockHook, type Hook, type Hooks, hookLayer, hookNames, hookWidth } from "./hooks.ts";
export {
  type LlamaConfig,
  type LlamaSizes,
  type LlamaType,
  llamaConfig,
  llamaConfigJson,
  parseLlamaConfig,
} from "./llama-config.ts";
export {
  type MixtralConfig,
  type MixtralSizes,
  mixtralConfig,
  mixtralConfigJson,
  parseMixtralConfig,
} from "./mixtral-config.ts";
export {
  blockName,
  familyTitle,
  fetchModel,
  finalGain,
  type HostModel,
  initGpt2,
  initModel,
  type Model,
  parameterCount,
  parameterShapes,
  placeModel,
  trainingFlopsPerToken,
  unembeddingName,
} from "./model.ts";
export {
  loadMoments,
  momentsFile,
  momentsOf,
  momentTensors,
  saveMoments,
} from "./moments-file.ts";
export {
  type NeoxConfig,
  type NeoxSizes,
  neoxConfig,
  neoxConfigJson,
  parseNeoxConfig,
} from "./neox-config.ts";
export { type Rope, type RopeScaling, rotaryDims } from "./rope.ts";
export {
  createLmTrainer,
  type LmBatch,
  type LmState,
  type LmStep,
  type LmTrainer,
  type LmTrainOptions,
  learningRate,
  lmTrainDefaults,
  shift,
} from "./train.ts";
export type { WeightFileOptions } from "./weight-files.ts";
