/** What the native backend's TensorFlow.js kernels have in common: their call, their arrays, their registration. */
import { tf } from "../tf.ts";
import type { NativeBackend } from "./backend.ts";

/** A call of a kernel. */
export interface Call {
  readonly inputs: Readonly<Record<string, tf.TensorInfo>>;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly backend: NativeBackend;
}

/** Computes the call, or answers undefined for the `cpu` kernel to do it. */
export type Native = (call: Call) => tf.TensorInfo | undefined;

/** Puts `native` in the place of the kernel copied from `cpu`, which stays behind it. */
export function replace(kernelName: string, native: Native): void {
  const plain = tf.getKernel(kernelName, "cpu").kernelFunc;
  tf.unregisterKernel(kernelName, "native");
  tf.registerKernel({
    kernelName,
    backendName: "native",
    kernelFunc: (call) => native(call as unknown as Call) ?? plain(call),
  });
}

/** A tensor of the pool's memory, written by `fill`. */
export function filled(
  backend: NativeBackend,
  shape: number[],
  fill: (out: Float32Array) => void,
): tf.TensorInfo {
  const out = backend.allocate(sizeOf(shape));
  fill(out);
  return backend.makeTensorInfo(shape, "float32", out);
}

/** A float32 tensor's numbers, to be read. */
export function valuesOf(backend: NativeBackend, { dataId }: tf.TensorInfo): Float32Array {
  const { values } = backend.data.get(dataId);
  // some cpu kernels (OneHot) keep whole numbers under the name of float32
  return values instanceof Float32Array ? values : Float32Array.from(values as ArrayLike<number>);
}

/** How many numbers a shape holds. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}
