/**
 * @file A map between two hooks fitted on pairs of activations: ridge regression with an intercept, in closed form
 * from sums that are as large as the widths and not as the text. Fitted in both directions, h_big ≈ E h + e and
 * h ≈ R h_big + r: a best guess each way, so that R E is not I. The penalty is in units of each coordinate's own
 * variance, which makes the fit independent of their scales (a few coordinates of a language model are huge).
 */
import { cholesky, solveCholesky, tf } from "../../engine/index.ts";
import { type DenseMap, transposed } from "./vector-map.ts";

/** Share of a coordinate's variance that is added to it. */
export const fitRidge = 1e-3;

/** Sums over pairs of rows, about the means of the first ones added: products in the backend's f32, sums in f64. */
export class PairSums {
  readonly d: number;
  readonly D: number;
  private n = 0;
  private originX: Float32Array | null = null; // [d]
  private originY: Float32Array | null = null; // [D]
  private readonly x: Float64Array; // [d]
  private readonly y: Float64Array; // [D]
  private readonly xx: Float64Array; // [d, d]
  private readonly xy: Float64Array; // [d, D]
  private readonly yy: Float64Array; // [D, D]

  constructor(d: number, D: number) {
    this.d = d;
    this.D = D;
    this.x = new Float64Array(d);
    this.y = new Float64Array(D);
    this.xx = new Float64Array(d * d);
    this.xy = new Float64Array(d * D);
    this.yy = new Float64Array(D * D);
  }

  /** Bytes that sums between widths d and D take. */
  static bytes(d: number, D: number): number {
    return 8 * (d * d + d * D + D * D);
  }

  /** Adds rows of the parent [n, d] and of the child [n, D], tensors that stay the caller's. */
  async add(small: tf.Tensor2D, big: tf.Tensor2D): Promise<void> {
    this.originX ??= await meanRow(small);
    this.originY ??= await meanRow(big);
    const { originX, originY } = this;
    const parts = tf.tidy(() => {
      const x = tf.sub(small, tf.tensor1d(originX)) as tf.Tensor2D;
      const y = tf.sub(big, tf.tensor1d(originY)) as tf.Tensor2D;
      const product = (a: tf.Tensor2D, b: tf.Tensor2D) => tf.matMul(a, b, true);
      return [tf.sum(x, 0), tf.sum(y, 0), product(x, x), product(x, y), product(y, y)];
    });
    const sums = [this.x, this.y, this.xx, this.xy, this.yy];
    for (const [i, part] of parts.entries()) {
      const values = await part.data();
      const sum = sums[i];
      for (let j = 0; j < sum.length; j++) sum[j] += values[j];
      part.dispose();
    }
    this.n += small.shape[0];
  }

  /** The maps in both directions. Errors: internal before any row was added. */
  fit(ridge: number = fitRidge): DenseMap {
    const { n, d, D, originX, originY } = this;
    if (!originX || !originY) throw new Error("internal: a map is fitted on at least one row");
    const meanX = this.x.map((sum) => sum / n);
    const meanY = this.y.map((sum) => sum / n);
    const centred = (sums: Float64Array, a: Float64Array, b: Float64Array) =>
      sums.map((sum, at) => sum / n - a[Math.floor(at / b.length)] * b[at % b.length]);
    const xx = centred(this.xx, meanX, meanX);
    const xy = centred(this.xy, meanX, meanY); // [d, D]
    const yy = centred(this.yy, meanY, meanY);
    const yx = transposed(xy, d, D); // [D, d]
    const E = solve(xx, yx, d, D, ridge);
    const R = solve(yy, xy, D, d, ridge);
    const x = meanX.map((mean, i) => mean + originX[i]);
    const y = meanY.map((mean, i) => mean + originY[i]);
    return { d, D, E, R, offset: { e: intercept(E, x, y), r: intercept(R, y, x) } };
  }
}

/** Rows of B (C + ridge·diag C)⁻¹ for C [n, n], the covariance of what predicts, and B [nOut, n], that with what is predicted. */
function solve(
  C: Float64Array,
  B: Float64Array,
  n: number,
  nOut: number,
  ridge: number,
): Float64Array {
  // in units of each coordinate's deviation; one that never changes predicts nothing
  const scale = Float64Array.from({ length: n }, (_, i) => Math.sqrt(C[i * n + i]) || 1);
  const penalised = C.map((value, at) => value / (scale[Math.floor(at / n)] * scale[at % n]));
  for (let i = 0; i < n; i++) penalised[i * n + i] = 1 + ridge;
  const factor = cholesky(penalised, n);
  const out = B.map((value, at) => value / scale[at % n]);
  for (let row = 0; row < nOut; row++) {
    solveCholesky(factor, n, out.subarray(row * n, (row + 1) * n));
  }
  return out.map((value, at) => value / scale[at % n]);
}

/** y − A x for A [y.length, x.length]. */
function intercept(A: Float64Array, x: Float64Array, y: Float64Array): Float64Array {
  return y.map((value, row) => {
    let sum = value;
    for (let i = 0; i < x.length; i++) sum -= A[row * x.length + i] * x[i];
    return sum;
  });
}

async function meanRow(rows: tf.Tensor2D): Promise<Float32Array> {
  const mean = tf.tidy(() => tf.mean(rows, 0));
  const values = (await mean.data()).slice() as Float32Array;
  mean.dispose();
  return values;
}
