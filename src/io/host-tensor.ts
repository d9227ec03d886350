/**
 * @file Tensors in host memory: what checkpoints hold and what passes between files and the engine.
 */

export type HostArray = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;

/** A dense row-major tensor; `data.length` is the product of `shape` (1 for a scalar, shape []). */
export interface HostTensor {
  readonly shape: readonly number[];
  readonly data: HostArray;
}

/** Number of elements of a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

/** Index of the first NaN or infinity, −1 where all is finite, as integers always are. */
export function firstNonFinite(data: HostArray): number {
  if (!(data instanceof Float32Array || data instanceof Float64Array)) return -1;
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return i;
  return -1;
}
