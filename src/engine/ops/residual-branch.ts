/**
 * The two branches of a transformer's block (pre-norm; Radford et al. 2019), each with the stream that it is added to:
 * x + attention(norm(x)·W + b)·V + c and x + gelu(norm(x)·W + b)·V + c. The composite forms are the specification. A
 * backend with products on arrays computes a branch and its gradients as one operation: there is then one node to record
 * and one gradient of the stream, which is added to in place.
 */

import { gradientOp } from "../gradient-op.ts";
import type { AttentionShape } from "../host/causal-attention.ts";
import { type HostKernels, hostKernels, type MatrixKernels } from "../host/kernels.ts";
import { hostOp } from "../host-memory.ts";
import { tf } from "../tf.ts";
import { causalAttention } from "./causal-attention.ts";
import { gelu } from "./gelu.ts";
import { layerNorm } from "./layer-norm.ts";
import { linear } from "./linear.ts";

/** A layer norm over rows of d numbers. */
export interface Norm {
  readonly gain: tf.Tensor1D;
  readonly bias: tf.Tensor1D;
  readonly eps: number;
}

/** x·weight [din, dout] + bias [dout]. */
export interface Affine {
  readonly weight: tf.Tensor2D;
  readonly bias: tf.Tensor1D;
}

/** What a branch is made of, but for what happens between its two maps. */
export interface BranchWeights {
  readonly norm: Norm;
  /** From the normed stream. */
  readonly into: Affine;
  /** Back into the stream. */
  readonly back: Affine;
}

/** x + attention(norm(x)·into)·back for the stream x [B·T, d]; `into` gives q|k|v. Differentiable in x and the weights. */
export function attentionBranch(
  x: tf.Tensor2D,
  weights: BranchWeights,
  shape: AttentionShape,
): tf.Tensor2D {
  const { matrices } = hostKernels();
  return matrices
    ? fused(x, weights, matrices, attentionMiddle(shape))
    : attentionBranchComposite(x, weights, shape);
}

/** `attentionBranch` out of smaller operations. */
export function attentionBranchComposite(
  x: tf.Tensor2D,
  weights: BranchWeights,
  shape: AttentionShape,
): tf.Tensor2D {
  return composite(x, weights, (projections) => causalAttention(projections, shape));
}

/** x + gelu(norm(x)·into)·back for the stream x [n, d]. Differentiable in x and the weights. */
export function mlpBranch(x: tf.Tensor2D, weights: BranchWeights): tf.Tensor2D {
  const { matrices } = hostKernels();
  return matrices ? fused(x, weights, matrices, geluMiddle) : mlpBranchComposite(x, weights);
}

/** `mlpBranch` out of smaller operations. */
export function mlpBranchComposite(x: tf.Tensor2D, weights: BranchWeights): tf.Tensor2D {
  return composite(x, weights, gelu);
}

function composite(
  x: tf.Tensor2D,
  { norm, into, back }: BranchWeights,
  middle: (entering: tf.Tensor2D) => tf.Tensor2D,
): tf.Tensor2D {
  const entering = linear(layerNorm(x, norm.gain, norm.bias, norm.eps), into.weight, into.bias);
  return tf.add(x, linear(middle(entering), back.weight, back.bias)) as tf.Tensor2D;
}

/** What happens between the maps, on arrays. */
interface Middle {
  /** How many numbers the forward pass keeps for the backward pass, beside what entered and what left. */
  readonly kept: number;
  forward(
    kernels: HostKernels,
    entering: Float32Array,
    left: Float32Array,
    kept: Float32Array,
  ): void;
  /** d(entering) from d(left). */
  backward(kernels: HostKernels, slopes: Slopes, values: Values): void;
}

interface Slopes {
  readonly left: Float32Array;
  readonly entering: Float32Array;
}

interface Values extends Slopes {
  readonly kept: Float32Array;
}

const geluMiddle: Middle = {
  kept: 0,
  forward: (kernels, entering, left) => kernels.geluForward(entering, left),
  backward: (kernels, slopes, { entering }) =>
    kernels.geluBackward(slopes.left, entering, slopes.entering),
};

function attentionMiddle(shape: AttentionShape): Middle {
  return {
    kept: shape.batch * shape.heads * shape.context,
    forward: (kernels, entering, left, kept) =>
      kernels.attentionForward([entering], shape, left, kept),
    backward: (kernels, slopes, { left, entering, kept }) =>
      kernels.attentionBackward(slopes.left, left, [entering], kept, shape, [slopes.entering]),
  };
}

function fused(
  x: tf.Tensor2D,
  { norm, into, back }: BranchWeights,
  { product, columnSums, sum }: MatrixKernels,
  middle: Middle,
): tf.Tensor2D {
  const [n, d] = x.shape;
  const width = into.weight.shape[1]; // of what enters the middle
  const inner = back.weight.shape[0]; // of what leaves it
  const kernels = hostKernels();
  // one tensor each for what is kept and for what is thrown away: the engine's work is by the tensor
  const made = [n * d, n, n, n * width, n * inner, middle.kept];
  const scratch = [n * width, n * inner, n * d];
  return tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const inputs = args.slice(0, -1) as tf.Tensor[];
    const save = args[args.length - 1] as tf.GradSaveFunc;
    const [y, added, keeps] = hostOp(
      [[n, d], [n, d], [room(made)]],
      inputs,
      ([out, add, all], [xi, gain, shift, w, b, v, c]) => {
        const [normed, mean, rstd, entering, left, kept] = parts(all, made);
        kernels.layerNormForward(xi, gain, shift, norm.eps, normed, mean, rstd);
        product(normed, w, entering, { m: n, k: d, n: width }, { bias: b });
        middle.forward(kernels, entering, left, kept);
        product(left, v, add, { m: n, k: inner, n: d }, { bias: c });
        sum(xi, add, out); // in the composite's order, to the bit
      },
    );
    added.dispose();
    const [xs, gains, , ws, , vs] = inputs;
    save([keeps, xs, gains, ws, vs]);
    return {
      value: y,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [dx, dGain, dShift, dw, db, dv, dc, thrown] = gradientOp(
          y, // the stream passes the branch by: its gradient here is where the branch's is added
          [[n, d], [d], [d], [d, width], [width], [inner, d], [d], [room(scratch)]],
          [dy, ...saved],
          ([dxi, gain, shift, dwi, dbi, dvi, dci, rest], [dyi, all, xi, gains, w, v], adds) => {
            const [normed, mean, rstd, entering, left, kept] = parts(all, made);
            const [dEntering, dLeft, dNormed] = parts(rest, scratch);
            product(dyi, v, dLeft, { m: n, k: d, n: inner }, { transposeB: true });
            product(left, dyi, dvi, { m: inner, k: n, n: d }, { transposeA: true });
            columnSums(dyi, dci);
            const slopes = { left: dLeft, entering: dEntering };
            middle.backward(kernels, slopes, { left, entering, kept });
            columnSums(dEntering, dbi);
            product(normed, dEntering, dwi, { m: d, k: n, n: width }, { transposeA: true });
            product(dEntering, w, dNormed, { m: n, k: width, n: d }, { transposeB: true });
            if (!adds) dxi.set(dyi);
            kernels.layerNormBackward(dNormed, xi, mean, rstd, gains, dxi, gain, shift, true);
          },
        );
        thrown.dispose();
        return [dx, dGain, dShift, dw, db, dv, dc];
      },
    };
  })(x, norm.gain, norm.bias, into.weight, into.bias, back.weight, back.bias) as tf.Tensor2D;
}

/** Numbers of a cache line, at whose multiples parts of an array begin. */
const line = 16;

/** How long an array is that holds parts of these lengths. */
function room(lengths: readonly number[]): number {
  return lengths.reduce((total, length) => total + Math.ceil(length / line) * line, 0);
}

/** The parts of these lengths, one after the other. */
function parts(all: Float32Array, lengths: readonly number[]): Float32Array[] {
  let at = 0;
  return lengths.map((length) => {
    const part = all.subarray(at, at + length);
    at += Math.ceil(length / line) * line;
    return part;
  });
}
