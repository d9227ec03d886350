/** Language models: the GPT-2 family, its hooks, checkpoints, training and held-out loss. */

export { loadModel, saveModel } from "./checkpoint.ts";
export {
  type Gpt2Config,
  type Gpt2Sizes,
  gpt2Config,
  gpt2ConfigJson,
  parseGpt2Config,
} from "./gpt2-config.ts";
export {
  activationsAt,
  attentionPatterns,
  type ForwardOptions,
  forwardHidden,
  forwardLogits,
  unembedding,
} from "./gpt2-forward.ts";
export {
  blockName,
  fetchModel,
  gpt2Shapes,
  type HostModel,
  initGpt2,
  type Model,
  parameterCount,
  placeModel,
  trainingFlopsPerToken,
} from "./gpt2-weights.ts";
export { type HeldOutLoss, type HeldOutOptions, heldOutLoss } from "./held-out-loss.ts";
export { blockHook, type Hook, type Hooks, hookLayer, hookNames, hookWidth } from "./hooks.ts";
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
