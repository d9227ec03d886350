/**
 * TensorFlow.js kernels of the native backend: those that move numbers, those that combine them, and the products
 * here. Each takes the float32 cases that it computes and hands every other one to the `cpu` kernel of the
 * same name.
 */
import { tf } from "../tf.ts";
import type { Addon } from "./addon.ts";
import { registerArithmeticKernels } from "./arithmetic.ts";
import type { NativeBackend } from "./backend.ts";
import { type Call, filled, replace, sizeOf, valuesOf } from "./kernel-call.ts";
import { registerMovementKernels } from "./movement.ts";

const none = new Float32Array(0);

/** Puts the addon's kernels in the place of the copied ones. */
export function registerNativeKernels(addon: Addon): void {
  registerMovementKernels(addon);
  registerArithmeticKernels(addon);
  replace("BatchMatMul", ({ inputs: { a, b }, attrs, backend }) =>
    product(addon, backend, a, b, undefined, attrs),
  );
  replace("_FusedMatMul", ({ inputs: { a, b, bias }, attrs, backend }) =>
    (attrs.activation ?? "linear") === "linear"
      ? product(addon, backend, a, b, bias, attrs)
      : undefined,
  );
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
