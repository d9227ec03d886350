/**
 * The kernels that work on host memory, as one table. The entries are plain loops; a backend that has
 * faster ones of its own puts them in with `provideKernels`, and they hold while it is the active one.
 */
import { tf } from "../tf.ts";
import { type AdamwNumbers, adamwArray as plainAdamw } from "./adamw.ts";
import type { BestMatchKernel } from "./best-match.ts";
import { attentionBackward, attentionForward } from "./causal-attention.ts";
import { embeddingBackward, embeddingForward } from "./embedding.ts";
import { geluBackward, geluForward } from "./gelu.ts";
import { geluErfBackward, geluErfForward } from "./gelu-erf.ts";
import {
  type GrowRecipe,
  columnMeans as plainColumnMeans,
  growRows as plainGrowRows,
  weightedSquares as plainWeightedSquares,
} from "./grow-rows.ts";
import { layerNormBackward, layerNormForward } from "./layer-norm.ts";
import { rmsNormBackward, rmsNormForward } from "./rms-norm.ts";
import { softmaxLoss, softmaxLossInPlace } from "./softmax-loss.ts";
import type { SparseCorrelation } from "./sparse-correlation.ts";
import { sumOfSquares } from "./sum-of-squares.ts";
import { swigluBackward, swigluForward } from "./swiglu.ts";

/** Sizes of a product [m, k]·[k, n]. */
export interface ProductSizes {
  readonly m: number;
  readonly k: number;
  readonly n: number;
}

/** How the operands of a product lie, and what it is added to. */
export interface ProductOptions {
  /** a is [k, m]. Default: false. */
  readonly transposeA?: boolean;
  /** b is [n, k]. Default: false. */
  readonly transposeB?: boolean;
  /** [n]. Default: zeros. */
  readonly bias?: Float32Array;
}

/** Kernels on matrices as arrays. */
export interface MatrixKernels {
  /** out [m, n] = a·b + bias. */
  readonly product: (
    a: Float32Array,
    b: Float32Array,
    out: Float32Array,
    sizes: ProductSizes,
    options: ProductOptions,
  ) => void;
  /** out [d] = Σ over the rows of x [n, d]. */
  readonly columnSums: (x: Float32Array, out: Float32Array) => void;
  /** out = a + b, all as long. */
  readonly sum: (a: Float32Array, b: Float32Array, out: Float32Array) => void;
}

/** Kernels on host memory; each entry behaves as the plain loop of its name. */
export interface HostKernels {
  /** Whether products with a transposed operand are as fast as plain ones. */
  readonly takesTransposed: boolean;
  /** Whether a tensor's numbers may be written anew after an operation has read them. */
  readonly updatesInPlace: boolean;
  /**
   * Where the backend has it: loss [n] = −log softmax(hidden·tableᵀ)[target] and the gradients of weight·Σ loss, for
   * hidden [n, d], table [V, d]. `logits` is room for a chunk of rows, at least one.
   */
  readonly crossEntropy?: (
    hidden: Float32Array,
    table: Float32Array,
    targets: Int32Array,
    vocab: number,
    weight: number,
    logits: Float32Array,
    loss: Float32Array,
    dHidden: Float32Array,
    dTable: Float32Array,
  ) => void;
  /** Where the backend has them; the others' products are operations of the engine. */
  readonly matrices?: MatrixKernels;
  readonly adamwArray: typeof plainAdamw;
  readonly attentionForward: typeof attentionForward;
  readonly attentionBackward: typeof attentionBackward;
  /** Absent where the engine's products are the fastest way. */
  readonly bestMatches?: BestMatchKernel;
  readonly embeddingForward: typeof embeddingForward;
  readonly embeddingBackward: typeof embeddingBackward;
  readonly geluForward: typeof geluForward;
  readonly geluBackward: typeof geluBackward;
  readonly geluErfForward: typeof geluErfForward;
  readonly geluErfBackward: typeof geluErfBackward;
  readonly layerNormForward: typeof layerNormForward;
  readonly layerNormBackward: typeof layerNormBackward;
  readonly rmsNormForward: typeof rmsNormForward;
  readonly rmsNormBackward: typeof rmsNormBackward;
  readonly softmaxLoss: typeof softmaxLoss;
  readonly softmaxLossInPlace: typeof softmaxLossInPlace;
  /** Absent where there is nothing faster than plain loops. */
  readonly sparseCorrelation?: SparseCorrelation;
  readonly sumOfSquares: typeof sumOfSquares;
  readonly growRows: typeof plainGrowRows;
  readonly weightedSquares: (
    x: Float32Array,
    rowMass: Float64Array,
    columnMass: Float64Array,
  ) => number;
  readonly columnMeans: (x: Float32Array, nColumns: number) => Float64Array;
  readonly swigluForward: typeof swigluForward;
  readonly swigluBackward: typeof swigluBackward;
}

/** The plain loops. */
export const plainKernels: HostKernels = {
  takesTransposed: false,
  updatesInPlace: false,
  adamwArray: plainAdamw,
  attentionForward,
  attentionBackward,
  embeddingForward,
  embeddingBackward,
  geluForward,
  geluBackward,
  geluErfForward,
  geluErfBackward,
  layerNormForward,
  layerNormBackward,
  rmsNormForward,
  rmsNormBackward,
  softmaxLoss,
  softmaxLossInPlace,
  sumOfSquares,
  growRows: plainGrowRows,
  weightedSquares: plainWeightedSquares,
  columnMeans: plainColumnMeans,
  swigluForward,
  swigluBackward,
};

const provided = new Map<string, HostKernels>();

/** Has `hostKernels` answer with `kernels` while `backend` (TensorFlow.js's name) is active. */
export function provideKernels(backend: string, kernels: HostKernels): void {
  provided.set(backend, kernels);
}

/** The active backend's kernels. */
export function hostKernels(): HostKernels {
  return provided.get(tf.getBackend()) ?? plainKernels;
}

/** The active backend's correlation between sparse columns; undefined where plain loops do it. */
export function sparseCorrelation(): SparseCorrelation | undefined {
  return hostKernels().sparseCorrelation;
}

/** One AdamW step on host arrays by the active backend's kernel; `next` may be `param` itself. */
export function adamwArray(
  param: Float32Array,
  grad: Float32Array,
  m: Float32Array,
  v: Float32Array,
  next: Float32Array,
  numbers: AdamwNumbers,
): void {
  hostKernels().adamwArray(param, grad, m, v, next, numbers);
}

/** Rows of a grown matrix by the active backend's kernel: rows `first`… of the child, as many as `out` holds. */
export function growRows(
  parent: Float32Array,
  recipe: GrowRecipe,
  first: number,
  out: Float32Array,
): void {
  hostKernels().growRows(parent, recipe, first, out);
}

/** Σ rowMass[i]·columnMass[j]·x[i, j]², of f32 numbers by the active backend's kernel. */
export function weightedSquares(
  x: Float32Array | Float64Array,
  rowMass: Float64Array,
  columnMass: Float64Array,
): number {
  return x instanceof Float32Array
    ? hostKernels().weightedSquares(x, rowMass, columnMass)
    : plainWeightedSquares(x, rowMass, columnMass);
}

/** The mean of each column of x [n, nColumns], of f32 numbers by the active backend's kernel. */
export function columnMeans(x: Float32Array | Float64Array, nColumns: number): Float64Array {
  return x instanceof Float32Array
    ? hostKernels().columnMeans(x, nColumns)
    : plainColumnMeans(x, nColumns);
}
