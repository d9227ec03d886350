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
