/** The addon's functions (native/src/lib.rs), and the table of host kernels made of them. */

import type { BestMatchKernel } from "../host/best-match.ts";
import type { AttentionShape, HeadArrays } from "../host/causal-attention.ts";
import { type HostKernels, plainKernels } from "../host/kernels.ts";
import { rotaryTable } from "../host/rotary.ts";
import type { SparseCorrelation } from "../host/sparse-correlation.ts";
import type { SaeAddon } from "./sae-work.ts";

/** What the addon exports. An output may overlap no other argument. */
export interface Addon
  extends SaeAddon,
    Omit<
      HostKernels,
      | "takesTransposed"
      | "updatesInPlace"
      | "crossEntropy"
      | "matrices"
      | "sparseCorrelation"
      | "adamwArray"
      | "attentionForward"
      | "attentionBackward"
      | "growRows"
    >,
    SparseCorrelation {
  readonly bestMatches: BestMatchKernel;
  /** What kernels are run with: avx512, avx2, neon or scalar. */
  instructionSet(): string;
  /** Sets the number of threads, 0 for one each core, and returns it. */
  setThreads(threads: number): number;
  /** out [batch, m, n] = a·b (+ bias, where it isn't empty); sizes are [m, k, n, batch of out, of a, of b]. */
  gemm(
    a: Float32Array,
    b: Float32Array,
    bias: Float32Array,
    out: Float32Array,
    sizes: Uint32Array,
    transposeA: boolean,
    transposeB: boolean,
  ): void;
  /** out [cols, rows] = xᵀ. */
  transpose(x: Float32Array, rows: number, cols: number, out: Float32Array): void;
  /** out = f(x), f under TensorFlow.js's name for it. */
  unary(name: string, x: Float32Array, out: Float32Array): void;
  /**
   * out = a ∘ b, or b ∘ a when `reversed`. b is as long as a, one number or a row of it; or, where `inner`
   * isn't 0, a column, each of whose numbers meets `inner` neighbours of a.
   */
  binary(
    name: string,
    a: Float32Array,
    b: Float32Array,
    inner: number,
    reversed: boolean,
    out: Float32Array,
  ): void;
  /** out [n] = sum, mean, largest or smallest of each of the n rows of x. */
  reduceRows(name: string, x: Float32Array, out: Float32Array): void;
  /** out = softmax over the rows of x, of d numbers each. */
  softmaxRows(x: Float32Array, d: number, out: Float32Array): void;
  /** out [d] = Σ over the rows of x [n, d]. */
  columnSums(x: Float32Array, out: Float32Array): void;
  /** AdamW in place; numbers are [lr, beta1, beta2, eps, weightDecay, step, scale]. */
  adamw(
    next: Float32Array,
    grad: Float32Array,
    m: Float32Array,
    v: Float32Array,
    numbers: Float64Array,
  ): void;
  /**
   * Sizes are [batch, context, heads, key heads, width of a head]; cos and sin the rotary table, or empty. Where k
   * is empty, q holds all three side by side, and dq likewise.
   */
  attentionForward(
    q: Float32Array,
    k: Float32Array,
    v: Float32Array,
    sizes: Uint32Array,
    cos: Float32Array,
    sin: Float32Array,
    z: Float32Array,
    lse: Float32Array,
  ): void;
  attentionBackward(
    dz: Float32Array,
    z: Float32Array,
    q: Float32Array,
    k: Float32Array,
    v: Float32Array,
    lse: Float32Array,
    sizes: Uint32Array,
    cos: Float32Array,
    sin: Float32Array,
    dq: Float32Array,
    dk: Float32Array,
    dv: Float32Array,
  ): void;
  /**
   * A `GrowRecipe` taken apart; numbers are [nColumns, first row, noise on columns, its key, fresh value and scale, their
   * key, spread about the mean, its key].
   */
  growRowsFlat(
    parent: Float32Array,
    rows: Int32Array,
    rowWeights: Float64Array,
    meanRow: Float64Array,
    columns: Int32Array,
    columnWeights: Float64Array,
    slots: Int32Array,
    coefficients: Float64Array,
    numbers: Float64Array,
    out: Float32Array,
  ): void;
  /** Cross-entropy of hidden·tableᵀ with its gradients, in chunks of as many rows as `logits` holds. */
  crossEntropy: NonNullable<HostKernels["crossEntropy"]>;
}

const none = new Float32Array(0);

/** The addon's kernels with the signatures of the plain loops. */
export function nativeKernels(addon: Addon): HostKernels {
  const sizesOf = ({ batch, context, heads, headDim, kvHeads = heads }: AttentionShape) =>
    Uint32Array.of(batch, context, heads, kvHeads, headDim);
  const tableOf = ({ rotary, context }: AttentionShape) =>
    rotary ? rotaryTable(rotary, context) : { cos: none, sin: none };
  const threeOf = ([q, k = none, v = none]: HeadArrays) => [q, k, v] as const;
  return {
    ...plainKernels,
    ...addon,
    takesTransposed: true,
    sparseCorrelation: addon,
    matrices: {
      product: (
        a,
        b,
        out,
        { m, k, n },
        { transposeA = false, transposeB = false, bias = none },
      ) => {
        const sizes = Uint32Array.of(m, k, n, 1, 1, 1);
        addon.gemm(a, b, bias, out, sizes, transposeA, transposeB);
      },
      columnSums: addon.columnSums,
      sum: (a, b, out) => addon.binary("Add", a, b, 0, false, out),
    },
    updatesInPlace: true,
    adamwArray: (param, grad, m, v, next, numbers) => {
      if (param.buffer !== next.buffer || param.byteOffset !== next.byteOffset) next.set(param);
      const { lr, beta1, beta2, eps, weightDecay, step, scale } = numbers;
      const packedNumbers = Float64Array.of(lr, beta1, beta2, eps, weightDecay, step, scale);
      addon.adamw(next, grad, m, v, packedNumbers);
    },
    growRows: (parent, recipe, first, out) => {
      const { nColumns, rows, rowWeights, meanRow, columns, columnWeights } = recipe;
      const { noiseAxis, slots, coefficients, noiseKey, freshValue, freshScale, freshKey } = recipe;
      const noise = [noiseAxis, ...noiseKey];
      const fresh = [freshValue, freshScale, ...freshKey];
      const mean = [recipe.meanSpread, ...recipe.meanKey];
      const numbers = [nColumns, first, ...noise, ...fresh, ...mean];
      addon.growRowsFlat(
        parent,
        rows,
        rowWeights,
        meanRow,
        columns,
        columnWeights,
        slots,
        coefficients,
        Float64Array.from(numbers),
        out,
      );
    },
    attentionForward: (operands, shape, z, lse) => {
      const { cos, sin } = tableOf(shape);
      addon.attentionForward(...threeOf(operands), sizesOf(shape), cos, sin, z, lse);
    },
    attentionBackward: (dz, z, operands, lse, shape, outputs) => {
      const { cos, sin } = tableOf(shape);
      const [q, k, v] = threeOf(operands);
      const [dq, dk, dv] = threeOf(outputs);
      addon.attentionBackward(dz, z, q, k, v, lse, sizesOf(shape), cos, sin, dq, dk, dv);
    },
  };
}
