/**
 * @file The types that float32 numbers are stored as in safetensors: their sizes, what each can hold, and their bytes.
 */
import { RunError } from "./errors.ts";
import { narrowBfloat16, narrowFloat16 } from "./half.ts";
import { firstNonFinite, type HostArray } from "./host-tensor.ts";

/** Types in which float32 tensors can be stored. */
export type FloatDtype = "F32" | "F16" | "BF16";

/** Bytes of a number of type `dtype`. */
export function floatBytes(dtype: FloatDtype): number {
  return dtype === "F32" ? 4 : 2;
}

/** The least magnitude that rounds to infinity. */
const overflow: Readonly<Record<FloatDtype, number>> = {
  F32: Number.POSITIVE_INFINITY,
  F16: 65520,
  BF16: 2 ** 128 - 2 ** 119,
};

/** Errors: RunError for a NaN, an infinity, or a number beyond the type's range; `first` is the index of the first. */
export function checkStorable(data: HostArray, dtype: FloatDtype, where: string, first = 0): void {
  const refuse = (i: number, expected: string): never => {
    throw new RunError({
      code: "non-finite",
      where,
      expected,
      got: `${data[i]} at element ${first + i}`,
      hint: "The file was not written",
    });
  };
  const i = firstNonFinite(data);
  if (i >= 0) refuse(i, "finite numbers");
  if (dtype === "F32" || !(data instanceof Float32Array)) return;
  const limit = overflow[dtype];
  for (let j = 0; j < data.length; j++) {
    if (data[j] >= limit || data[j] <= -limit) refuse(j, `numbers that ${dtype} can hold`);
  }
}

/** The bytes of a tensor as they are stored. */
export function bytesOf(data: HostArray, floats: FloatDtype): Uint8Array {
  const stored = data instanceof Float32Array ? narrowed(data, floats) : data;
  return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
}

function narrowed(data: Float32Array, floats: FloatDtype): Float32Array | Uint16Array {
  if (floats === "F16") return narrowFloat16(data);
  return floats === "BF16" ? narrowBfloat16(data) : data;
}
