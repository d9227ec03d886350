/** The engine: backends, fused operations, random numbers, the optimizer. */

export {
  AdamW,
  type AdamwOptions,
  type AdamwState,
  adamwDefaults,
  globalNorm,
} from "./adamw.ts";
export {
  type BackendChoice,
  type BackendFinding,
  type BackendName,
  backendNames,
  defaultWorkers,
  setThreads,
  surveyBackends,
  useBackend,
  withSynchronousReads,
} from "./backends.ts";
export { cholesky, solveCholesky, solveLower } from "./cholesky.ts";
export type { AdamwNumbers } from "./host/adamw.ts";
export type { BestMatches, MatchMeasure } from "./host/best-match.ts";
export type { AttentionShape } from "./host/causal-attention.ts";
export {
  freshOf,
  freshSource,
  type GrowRecipe,
  meanSource,
  noiseOf,
  zeroSource,
} from "./host/grow-rows.ts";
export {
  adamwArray,
  columnMeans,
  growRows,
  sparseCorrelation,
  weightedSquares,
} from "./host/kernels.ts";
export { type DrawKey, normalRow } from "./host/normal-rows.ts";
export { type Rotary, rotary } from "./host/rotary.ts";
export type {
  SparseColumns,
  SparseCorrelation,
  SparseMatches,
  SparseRows,
} from "./host/sparse-correlation.ts";
export { hasHostMemory, hostOp, hostView } from "./host-memory.ts";
export { measureCoreGflops, measureGflops } from "./measure-gflops.ts";
export { saeAddon } from "./native/sae-addon.ts";
export type { SaeAddon, SaeWork } from "./native/sae-work.ts";
export { type BestMatchOptions, bestMatches } from "./ops/best-match.ts";
export {
  attentionComposite,
  attentionPattern,
  causalAttention,
  type Projections,
} from "./ops/causal-attention.ts";
export { combineRows, combineRowsComposite, type ExpertRows } from "./ops/combine-rows.ts";
export { crossEntropy, tokenLoss, tokenLossComposite } from "./ops/cross-entropy.ts";
export { embedding, embeddingComposite } from "./ops/embedding.ts";
export { gelu, geluComposite } from "./ops/gelu.ts";
export { geluErf, geluErfComposite } from "./ops/gelu-erf.ts";
export { layerNorm, layerNormComposite } from "./ops/layer-norm.ts";
export { type LinearOptions, linear } from "./ops/linear.ts";
export {
  type Affine,
  attentionBranch,
  attentionBranchComposite,
  type BranchWeights,
  mlpBranch,
  mlpBranchComposite,
  type Norm,
} from "./ops/residual-branch.ts";
export { rmsNorm, rmsNormComposite } from "./ops/rms-norm.ts";
export { swiglu, swigluComposite } from "./ops/swiglu.ts";
export { topKGates, topKMask, topKMaskComposite } from "./ops/top-k-gates.ts";
export { createRng, type Rng } from "./random.ts";
export { tf } from "./tf.ts";
export { valueAndGrads } from "./value-and-grads.ts";
