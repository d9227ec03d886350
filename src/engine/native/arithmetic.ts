/**
 * TensorFlow.js kernels of the native backend that compute: functions of one number, of two broadcast against
 * each other, reductions over the first or the last axes, softmax. What they don't take (other types, other
 * ways to broadcast) is left to the `cpu` kernel.
 */
import { tf } from "../tf.ts";
import type { Addon } from "./addon.ts";
import { type Call, filled, type Native, replace, sizeOf, valuesOf } from "./kernel-call.ts";

const unaryNames: readonly string[] = [
  "Abs",
  "Exp",
  "Log",
  "Neg",
  "Reciprocal",
  "Relu",
  "Rsqrt",
  "Sigmoid",
  "Sqrt",
  "Square",
  "Tanh",
];
const binaryNames: readonly string[] = [
  "Add",
  "Maximum",
  "Minimum",
  "Multiply",
  "RealDiv",
  "SquaredDifference",
  "Sub",
];

/** Puts these kernels in the place of the copied ones. */
export function registerArithmeticKernels(addon: Addon): void {
  for (const name of unaryNames) replace(name, unary(addon, name));
  for (const name of binaryNames) replace(name, binary(addon, name));
  for (const name of ["Sum", "Mean", "Max", "Min"]) replace(name, reduce(addon, name));
  replace("Softmax", ({ inputs: { logits }, attrs, backend }) => {
    const d = logits.shape.at(-1);
    const isLast = [-1, logits.shape.length - 1].includes((attrs.dim as number | undefined) ?? -1);
    if (logits.dtype !== "float32" || !isLast || !d) return undefined;
    return filled(backend, [...logits.shape], (out) =>
      addon.softmaxRows(valuesOf(backend, logits), d, out),
    );
  });
}

function unary(addon: Addon, name: string): Native {
  return ({ inputs: { x }, backend }) =>
    x.dtype !== "float32"
      ? undefined
      : filled(backend, [...x.shape], (out) => addon.unary(name, valuesOf(backend, x), out));
}

function binary(addon: Addon, name: string): Native {
  return ({ inputs: { a, b }, backend }) => {
    if (a.dtype !== "float32" || b.dtype !== "float32") return undefined;
    const reversed = sizeOf(b.shape) > sizeOf(a.shape) || b.shape.length > a.shape.length;
    const [big, small] = reversed ? [b, a] : [a, b];
    const inner = innerOf(big.shape, small.shape);
    if (inner === undefined) return undefined;
    return filled(backend, [...big.shape], (out) =>
      addon.binary(name, valuesOf(backend, big), valuesOf(backend, small), inner, reversed, out),
    );
  };
}

/**
 * How `small` is broadcast to `big`, as the addon's `inner`: 0 where its own dimensions are the last ones of
 * `big`, so that it repeats; the number of neighbours that share one of its numbers where they are the first
 * ones; undefined for anything else.
 */
function innerOf(big: readonly number[], small: readonly number[]): number | undefined {
  if (small.length > big.length || sizeOf(small) === 0) return undefined;
  const padded = [...Array<number>(big.length - small.length).fill(1), ...small];
  const first = padded.findIndex((size) => size !== 1);
  if (first < 0) return 0;
  const last = padded.findLastIndex((size) => size !== 1);
  for (let axis = first; axis <= last; axis++) if (padded[axis] !== big[axis]) return undefined;
  if (sizeOf(big.slice(last + 1)) === 1) return 0;
  return sizeOf(big.slice(0, first)) === 1 ? sizeOf(big.slice(last + 1)) : undefined;
}

function reduce(addon: Addon, name: string): Native {
  return ({ inputs: { x }, attrs, backend }: Call) => {
    const rank = x.shape.length;
    const given = (attrs.axis ?? attrs.reductionIndices) as number[]; // Max alone says it so
    const axes = tf.util.parseAxisParam(given, x.shape).sort((a, b) => a - b);
    if (x.dtype !== "float32" || axes.length === 0 || sizeOf(x.shape) === 0) return undefined;
    const rest = x.shape.filter((_, axis) => !axes.includes(axis));
    const shape = attrs.keepDims ? x.shape.map((n, axis) => (axes.includes(axis) ? 1 : n)) : rest;
    const values = valuesOf(backend, x);
    if (axes.every((axis, i) => axis === rank - axes.length + i)) {
      return filled(backend, shape, (out) => addon.reduceRows(name, values, out));
    }
    if (name === "Sum" && axes.every((axis, i) => axis === i)) {
      return filled(backend, shape, (out) => addon.columnSums(values, out));
    }
    return undefined;
  };
}
