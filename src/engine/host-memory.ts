/**
 * Backends that keep their tensors in this process's memory (`native`, `wasm`, `cpu`) let kernels on
 * arrays read and write them without a copy. `hostOp` runs such a kernel as one operation of the engine; on other
 * backends there is no host memory and the composite form of an operation is used instead.
 */
import { tf } from "./tf.ts";

interface WasmLike {
  typedArrayFromHeap(info: { dataId: object; shape: number[]; dtype: string }): Float32Array;
  makeOutput(shape: number[], dtype: "float32"): tf.TensorInfo;
}

interface CpuLike {
  data: { get(id: object): { values?: Float32Array } | undefined };
  /** An array that may hold old numbers; a backend without it gets new arrays. */
  allocate?(length: number): Float32Array;
}

/** Whether the active backend's tensors can be read and written in place by plain loops. */
export function hasHostMemory(): boolean {
  const name = tf.getBackend();
  return name === "wasm" || keepsArrays(name);
}

/**
 * The numbers of a float32 tensor without a copy, or undefined where the backend has none to show.
 * Valid only until the next operation: the wasm heap may move when it grows.
 */
export function hostView(tensor: tf.Tensor): Float32Array | undefined {
  const name = tf.getBackend();
  if (name === "wasm") {
    return (tf.backend() as unknown as WasmLike).typedArrayFromHeap(tensor);
  }
  if (keepsArrays(name)) {
    const values = (tf.backend() as unknown as CpuLike).data.get(tensor.dataId)?.values;
    return values instanceof Float32Array ? values : undefined;
  }
  return undefined;
}

/**
 * One operation made of plain loops: allocates float32 outputs of the given shapes and calls
 * `compute(outputs, inputs)` with views of all of them. Outputs are not zeroed. Host-memory
 * backends only. No gradient: wrap it in `tf.customGrad`.
 */
export function hostOp(
  shapes: readonly (readonly number[])[],
  inputs: readonly tf.Tensor[],
  compute: (outputs: Float32Array[], inputs: Float32Array[]) => void,
): tf.Tensor[] {
  if (tf.getBackend() === "wasm") {
    const backend = tf.backend() as unknown as WasmLike;
    const infos = shapes.map((shape) => backend.makeOutput([...shape], "float32"));
    // views only now: allocating may have moved the heap
    compute(
      infos.map((info) => backend.typedArrayFromHeap(info)),
      inputs.map(viewOf),
    );
    return infos.map((info) => tf.engine().makeTensorFromTensorInfo(info));
  }
  const backend = tf.backend() as unknown as CpuLike;
  const outputs = shapes.map((shape) => {
    const length = shape.reduce((a, b) => a * b, 1);
    return backend.allocate?.(length) ?? new Float32Array(length);
  });
  compute(outputs, inputs.map(viewOf));
  return outputs.map((values, i) => tf.tensor(values, [...shapes[i]], "float32"));
}

/** Whether a backend's tensors are JavaScript arrays: TensorFlow.js's own `cpu`, and what extends it. */
function keepsArrays(name: string): boolean {
  return name === "cpu" || name === "native";
}

function viewOf(tensor: tf.Tensor): Float32Array {
  const view = hostView(tensor) ?? tensor.dataSync();
  if (!(view instanceof Float32Array)) {
    throw new Error(`internal: hostOp expects float32 tensors, got ${tensor.dtype}`);
  }
  return view;
}
