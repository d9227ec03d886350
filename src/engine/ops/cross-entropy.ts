/**
 * Softmax cross-entropy of an unembedding. The fused form goes over chunks of rows, so that [n, V]
 * logits never exist whole, and computes the gradient in the forward pass, where they are at hand; the
 * composite form holds all of them. Losses without a gradient are computed in chunks on every backend.
 */
import { type HostKernels, hostKernels } from "../host/kernels.ts";
import { hasHostMemory, hostOp, hostView } from "../host-memory.ts";
import { tf } from "../tf.ts";
import { transposedTimes } from "./product.ts";

/** Logits held at once; rows per chunk follow from it. */
const maxChunkElements = 1 << 22;
/** The same for a kernel that takes a chunk through both products: larger, since it reads the whole table for each. */
const maxKernelElements = 2 ** 26;

/**
 * Mean over rows of −log softmax(hidden · unembedᵀ)[target], in nats. hidden [n, d], unembed [V, d],
 * targets [n] with ids in [0, V). Differentiable in hidden and unembed.
 */
export function crossEntropy(
  hidden: tf.Tensor2D,
  unembed: tf.Tensor2D,
  targets: Int32Array,
): tf.Scalar {
  return hasHostMemory()
    ? fused(hidden, unembed, targets)
    : tf.mean(tokenLossComposite(hidden, unembed, targets));
}

/** −log softmax(hidden · unembedᵀ)[target] for each row, in nats: [n] numbers on the host. Not differentiable. */
export async function tokenLoss(
  hidden: tf.Tensor2D,
  unembed: tf.Tensor2D,
  targets: Int32Array,
): Promise<Float32Array> {
  const n = targets.length;
  const vocab = unembed.shape[0];
  const out = new Float32Array(n);
  const turned = tf.transpose(unembed);
  for (const [from, rows] of chunks(n, vocab)) {
    const part = tf.slice(hidden, [from, 0], [rows, -1]);
    const wanted = targets.subarray(from, from + rows);
    if (hasHostMemory()) {
      const logits = tf.matMul(part, turned);
      const view = hostView(logits);
      if (!view) throw new Error("internal: expected logits in host memory");
      hostKernels().softmaxLoss(view, wanted, vocab, out.subarray(from, from + rows));
      logits.dispose();
    } else {
      const losses = tf.tidy(() => tokenLossComposite(part, unembed, wanted));
      out.set(await losses.data(), from);
      losses.dispose();
    }
    part.dispose();
  }
  turned.dispose();
  return out;
}

/** Per-row cross-entropy [n] out of the engine's own operations. Differentiable. */
export function tokenLossComposite(
  hidden: tf.Tensor2D,
  unembed: tf.Tensor2D,
  targets: Int32Array,
): tf.Tensor1D {
  const vocab = unembed.shape[0];
  const logits = tf.matMul(hidden, unembed, false, true);
  const wanted = tf.oneHot(tf.tensor1d(targets, "int32"), vocab);
  return tf.neg(tf.sum(tf.mul(tf.logSoftmax(logits), wanted), 1));
}

function* chunks(n: number, vocab: number): Generator<[from: number, rows: number]> {
  const step = Math.max(1, Math.floor(maxChunkElements / vocab));
  for (let from = 0; from < n; from += step) yield [from, Math.min(step, n - from)];
}

function fused(hidden: tf.Tensor2D, unembed: tf.Tensor2D, targets: Int32Array): tf.Scalar {
  return tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [hs, us] = args as tf.Tensor2D[];
    const save = args[2] as tf.GradSaveFunc;
    const kernel = hostKernels().crossEntropy;
    const { total, grads } = kernel
      ? byKernel(kernel, hs, us, targets)
      : byProducts(hs, us, targets);
    save(grads);
    const [value] = hostOp([[]], [], ([out]) => {
      out[0] = total / targets.length;
    });
    return {
      value,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) =>
        // a loss that is differentiated itself: its gradient is there already
        hostView(dy)?.[0] === 1
          ? saved.map((grad) => tf.clone(grad))
          : saved.map((grad) => tf.mul(grad, dy)),
    };
  })(hidden, unembed) as tf.Scalar;
}

/** Σ loss and the gradients of the mean loss. */
interface LossAndGrads {
  readonly total: number;
  readonly grads: tf.Tensor[];
}

function byKernel(
  kernel: NonNullable<HostKernels["crossEntropy"]>,
  hidden: tf.Tensor2D,
  unembed: tf.Tensor2D,
  targets: Int32Array,
): LossAndGrads {
  const n = targets.length;
  const vocab = unembed.shape[0];
  const most = Math.max(1, Math.floor(maxKernelElements / vocab));
  const rows = Math.max(1, Math.ceil(n / Math.ceil(n / most))); // no chunk much smaller than the others
  const [dHidden, dUnembed, loss, room] = hostOp(
    [hidden.shape, unembed.shape, [n], [rows, vocab]],
    [hidden, unembed],
    (out, [hs, us]) => kernel(hs, us, targets, vocab, 1 / n, out[3], out[2], out[0], out[1]),
  );
  const total = hostView(loss)?.reduce((sum, value) => sum + value, 0);
  if (total === undefined) throw new Error("internal: expected losses in host memory");
  tf.dispose([loss, room]);
  return { total, grads: [dHidden, dUnembed] };
}

function byProducts(hidden: tf.Tensor2D, unembed: tf.Tensor2D, targets: Int32Array): LossAndGrads {
  const n = targets.length;
  const [vocab, d] = unembed.shape;
  const turned = tf.transpose(unembed); // [d, V]
  const dHidden: tf.Tensor2D[] = [];
  let dTurned: tf.Tensor2D = tf.zeros([d, vocab]);
  let total = 0;
  for (const [from, rows] of chunks(n, vocab)) {
    const part = tf.slice(hidden, [from, 0], [rows, -1]) as tf.Tensor2D;
    const logits = tf.matMul(part, turned); // becomes its own gradient in place, before any product reads it
    const loss = new Float32Array(rows);
    const view = hostView(logits);
    if (!view) throw new Error("internal: expected logits in host memory");
    const wanted = targets.subarray(from, from + rows);
    hostKernels().softmaxLossInPlace(view, wanted, vocab, 1 / n, loss);
    for (const value of loss) total += value;
    dHidden.push(tf.matMul(logits, unembed));
    dTurned = tf.add(dTurned, transposedTimes(part, logits as tf.Tensor2D));
  }
  const joined = dHidden.length === 1 ? dHidden[0] : tf.concat(dHidden, 0);
  return { total, grads: [joined, tf.transpose(dTurned)] };
}
