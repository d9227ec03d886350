/**
 * TensorFlow.js kernels of the native backend: products, transposition, element-wise sums and products, sums
 * over leading axes. Each takes the float32 cases that the addon computes and hands every other one to the
 * `cpu` kernel of the same name.
 */
import { tf } from "../tf.ts";
import type { Addon } from "./addon.ts";
import type { NativeBackend } from "./backend.ts";
import { type Call, filled, type Native, replace, sizeOf, valuesOf } from "./kernel-call.ts";
import { registerMovementKernels } from "./movement.ts";

const none = new Float32Array(0);

/** Puts the addon's kernels in the place of the copied ones. */
export function registerNativeKernels(addon: Addon): void {
  registerMovementKernels(addon);
  replace("BatchMatMul", ({ inputs: { a, b }, attrs, backend }) =>
    product(addon, backend, a, b, undefined, attrs),
  );
  replace("_FusedMatMul", ({ inputs: { a, b, bias }, attrs, backend }) =>
    (attrs.activation ?? "linear") === "linear"
      ? product(addon, backend, a, b, bias, attrs)
      : undefined,
  );
  replace("Add", binary(addon.add, true));
  replace("Sub", binary(addon.subtract, false));
  replace("Multiply", binary(addon.multiply, true));
  replace("Sum", ({ inputs: { x }, attrs, backend }) => {
    const axes = tf.util.parseAxisParam(attrs.axis as number[], x.shape);
    const leading = axes.every((axis, i) => axis === i);
    const rest = x.shape.slice(axes.length);
    if (x.dtype !== "float32" || !leading || axes.length === 0 || sizeOf(x.shape) === 0) {
      return undefined;
    }
    const shape = attrs.keepDims ? [...axes.map(() => 1), ...rest] : rest;
    return filled(backend, shape, (out) => addon.columnSums(valuesOf(backend, x), out));
  });
}

function product(
  addon: Addon,
  backend: NativeBackend,
  a: tf.TensorInfo,
  b: tf.TensorInfo,
  bias: tf.TensorInfo | undefined,
  attrs: Call["attrs"],
): tf.TensorInfo | undefined {
  const [transposeA, transposeB] = [attrs.transposeA === true, attrs.transposeB === true];
  const [aBatch, bBatch] = [a, b].map(({ shape }) => shape.slice(0, -2));
  const [rowsA, colsA] = a.shape.slice(-2);
  const [rowsB, colsB] = b.shape.slice(-2);
  const [m, k] = transposeA ? [colsA, rowsA] : [rowsA, colsA];
  const [inner, n] = transposeB ? [colsB, rowsB] : [rowsB, colsB];
  const [countA, countB] = [sizeOf(aBatch), sizeOf(bBatch)];
  const isShared = countA === 1 || countB === 1 || String(aBatch) === String(bBatch);
  const isBias = bias === undefined || (bias.dtype === "float32" && sizeOf(bias.shape) === n);
  if (a.dtype !== "float32" || b.dtype !== "float32" || !isShared || !isBias || inner !== k) {
    return undefined;
  }
  const batch = tf.broadcast_util.assertAndGetBroadcastShape(aBatch, bBatch);
  const sizes = Uint32Array.of(m, k, n, Math.max(countA, countB), countA, countB);
  const [left, right] = [valuesOf(backend, a), valuesOf(backend, b)];
  const row = bias === undefined || n === 0 ? none : valuesOf(backend, bias);
  return filled(backend, [...batch, m, n], (out) =>
    addon.gemm(left, right, row, out, sizes, transposeA, transposeB),
  );
}

function binary(kernel: Addon["add"], commutes: boolean): Native {
  return ({ inputs: { a, b }, backend }) => {
    if (a.dtype !== "float32" || b.dtype !== "float32") return undefined;
    const swap = commutes && sizeOf(b.shape) > sizeOf(a.shape);
    const [big, small] = swap ? [b, a] : [a, b];
    if (!repeatsOver(big.shape, small.shape)) return undefined;
    return filled(backend, [...big.shape], (out) =>
      kernel(valuesOf(backend, big), valuesOf(backend, small), out),
    );
  };
}

/** Whether `small`, broadcast to `big`, is one array after another: its own dimensions are the last ones of `big`. */
function repeatsOver(big: readonly number[], small: readonly number[]): boolean {
  if (small.length > big.length || sizeOf(small) === 0) return false;
  const start = small.findIndex((size) => size !== 1);
  const own = start < 0 ? [] : small.slice(start);
  return own.every((size, i) => size === big[big.length - own.length + i]);
}
