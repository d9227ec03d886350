/**
 * TensorFlow.js kernels of the native backend that only move numbers: slices, concatenation, rows gathered
 * from a table, transposition of any dimensions. They copy runs of neighbouring numbers, where the `cpu`
 * kernels of the same names look up every number by its coordinates (a hundred times slower).
 */
import { tf } from "../tf.ts";
import type { Addon } from "./addon.ts";
import { type Call, filled, replace, sizeOf, valuesOf } from "./kernel-call.ts";

/** Shorter runs are copied number by number: a call of `set` costs more. */
const minRun = 24;

/** Puts these kernels in the place of the copied ones. */
export function registerMovementKernels(addon: Addon): void {
  replace("Slice", slice);
  replace("Concat", concat);
  replace("GatherV2", gather);
  replace("Transpose", (call) => transpose(addon, call));
}

function slice({ inputs: { x }, attrs, backend }: Call): tf.TensorInfo | undefined {
  if (x.dtype !== "float32") return undefined;
  const [begin, size] = tf.slice_util.parseSliceParams(
    x as tf.Tensor,
    attrs.begin as number[],
    attrs.size as number[],
  );
  tf.slice_util.assertParamsValid(x as tf.Tensor, begin, size);
  const from = valuesOf(backend, x);
  const strides = stridesOf(x.shape);
  const offset = begin.reduce((at, b, axis) => at + b * strides[axis], 0);
  return filled(backend, size, (out) => copyStrided(from, offset, size, strides, out));
}

function concat({ inputs, attrs, backend }: Call): tf.TensorInfo | undefined {
  // an empty part has nothing to copy but must not decide the shape
  const parts = Object.values(inputs).filter(({ shape }) => sizeOf(shape) > 0);
  if (parts.length === 0 || parts.some(({ dtype }) => dtype !== "float32")) return undefined;
  const [first] = parts;
  const [axis] = tf.util.parseAxisParam(attrs.axis as number, first.shape);
  const shape = [...first.shape];
  shape[axis] = parts.reduce((sum, part) => sum + part.shape[axis], 0);
  const outer = sizeOf(shape.slice(0, axis));
  const row = sizeOf(shape.slice(axis));
  return filled(backend, shape, (out) => {
    let column = 0;
    for (const part of parts) {
      const own = sizeOf(part.shape.slice(axis));
      const values = valuesOf(backend, part);
      for (let i = 0; i < outer; i++) copyRun(values, i * own, own, out, i * row + column);
      column += own;
    }
  });
}

function gather({ inputs: { x, indices }, attrs, backend }: Call): tf.TensorInfo | undefined {
  const [axis] = tf.util.parseAxisParam(attrs.axis as number, x.shape);
  if (x.dtype !== "float32" || axis !== 0 || Number(attrs.batchDims ?? 0) !== 0) return undefined;
  const table = valuesOf(backend, x);
  const ids = backend.data.get(indices.dataId).values as Int32Array;
  const [rows, ...rest] = x.shape;
  const width = sizeOf(rest);
  return filled(backend, [...indices.shape, ...rest], (out) => {
    for (let i = 0; i < ids.length; i++) {
      if (!(ids[i] >= 0 && ids[i] < rows)) {
        throw new Error(`internal: row ${ids[i]} gathered from a table of ${rows}`);
      }
      copyRun(table, ids[i] * width, width, out, i * width);
    }
  });
}

function transpose(
  addon: Addon,
  { inputs: { x }, attrs, backend }: Call,
): tf.TensorInfo | undefined {
  const perm = attrs.perm as readonly number[];
  if (x.dtype !== "float32") return undefined;
  const values = valuesOf(backend, x);
  const shape = perm.map((axis) => x.shape[axis]);
  return filled(backend, shape, (out) => {
    if (perm.length === 2 && perm[0] === 1) addon.transpose(values, x.shape[0], x.shape[1], out);
    else {
      const strides = stridesOf(x.shape);
      const permuted = perm.map((axis) => strides[axis]);
      copyStrided(values, 0, shape, permuted, out);
    }
  });
}

/** out [shape], dense, from the numbers at `offset` + Σ index·stride of `from`. */
function copyStrided(
  from: Float32Array,
  offset: number,
  shape: readonly number[],
  strides: readonly number[],
  out: Float32Array,
): void {
  if (out.length === 0) return;
  // the trailing dimensions that lie as densely in `from` as in `out` make one run
  let axis = shape.length;
  let run = 1;
  while (axis > 0 && (shape[axis - 1] === 1 || strides[axis - 1] === run)) run *= shape[--axis];
  const [outerShape, outerStrides] = [shape.slice(0, axis), strides.slice(0, axis)];
  const [lastSize, lastStride] = [outerShape.pop() ?? 1, outerStrides.pop() ?? 0];
  const index = outerShape.map(() => 0);
  let at = offset;
  for (let to = 0; to < out.length; ) {
    for (let i = 0; i < lastSize; i++, to += run) copyRun(from, at + i * lastStride, run, out, to);
    for (let d = index.length - 1; d >= 0; d--) {
      at += outerStrides[d];
      if (++index[d] < outerShape[d]) break;
      at -= outerStrides[d] * index[d];
      index[d] = 0;
    }
  }
}

function copyRun(
  from: Float32Array,
  at: number,
  length: number,
  out: Float32Array,
  to: number,
): void {
  if (length < minRun) for (let i = 0; i < length; i++) out[to + i] = from[at + i];
  else out.set(from.subarray(at, at + length), to);
}

function stridesOf(shape: readonly number[]): number[] {
  const strides: number[] = [];
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}
