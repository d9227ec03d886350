/**
 * TensorFlow.js's `cpu` backend with a pool of arrays: an array that `allocate` gave out comes back when
 * its tensor is disposed, unless somebody may still be looking at it (a tensor that is a view of it, or a
 * reader outside). Small arrays and more than a fixed amount are left to the garbage collector.
 */
import { MathBackendCPU } from "@tensorflow/tfjs-backend-cpu";

type Values = Parameters<MathBackendCPU["write"]>[0];
type DataId = Parameters<MathBackendCPU["readSync"]>[0];

/** Shorter arrays are cheaper to make than to keep. */
const minLength = 1024;
/** Numbers kept for later use, in all: 2 GiB, about what a step of a model of 124 million parameters lets go of. */
const maxKept = 2 ** 29;

/** The backend behind `--backend native`. */
export class NativeBackend extends MathBackendCPU {
  /** Given out and not yet a tensor's. */
  readonly #fresh = new WeakSet<Float32Array>();
  /** Memory of tensors that comes back when they are disposed. */
  readonly #owned = new WeakSet<ArrayBufferLike>();
  readonly #free = new Map<number, Float32Array[]>();
  #kept = 0;

  /** An array of this length with any numbers in it, to become a tensor's. */
  allocate(length: number): Float32Array {
    if (length < minLength) return new Float32Array(length);
    const kept = this.#free.get(length)?.pop();
    if (kept) this.#kept -= length;
    const array = kept ?? new Float32Array(length);
    this.#fresh.add(array);
    return array;
  }

  override write(
    values: Values,
    shape: number[],
    dtype: Parameters<MathBackendCPU["write"]>[2],
  ): DataId {
    this.#adopt(values);
    return super.write(values, shape, dtype);
  }

  override move(...args: Parameters<MathBackendCPU["move"]>): void {
    this.#adopt(args[1]);
    super.move(...args);
  }

  override readSync(dataId: DataId): Values {
    const values = super.readSync(dataId);
    if (values instanceof Float32Array) this.#owned.delete(values.buffer);
    return values;
  }

  override disposeData(dataId: DataId, force = false): boolean {
    const values = this.data.has(dataId) ? this.data.get(dataId).values : undefined;
    const isGone = super.disposeData(dataId, force);
    if (isGone && values instanceof Float32Array && this.#owned.has(values.buffer)) {
      this.#owned.delete(values.buffer);
      this.#keep(values);
    }
    return isGone;
  }

  /** A fresh array is its tensor's alone; a second tensor on the same memory makes it nobody's. */
  #adopt(values: Values): void {
    if (!(values instanceof Float32Array)) return;
    if (this.#fresh.delete(values)) this.#owned.add(values.buffer);
    else this.#owned.delete(values.buffer);
  }

  #keep(array: Float32Array): void {
    if (this.#kept + array.length > maxKept) return;
    const free = this.#free.get(array.length);
    if (free) free.push(array);
    else this.#free.set(array.length, [array]);
    this.#kept += array.length;
  }
}
