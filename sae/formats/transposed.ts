/** @file Transposition between the libraries' layouts; numbers keep their bits. */
import { transposeInto } from "../kernels/transpose.ts";

/** `matrix` [rows, cols] as a new array [cols, rows]. */
export function transposed(matrix: Float32Array, rows: number, cols: number): Float32Array {
  const out = new Float32Array(matrix.length);
  transposeInto(matrix, rows, cols, out);
  return out;
}
