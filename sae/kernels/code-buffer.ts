/**
 * @file A growing buffer of sparse codes in CSR form, filled row by row by the selection kernels and
 * reused from step to step so that training allocates nothing.
 */
import type { SparseCodes } from "../sae.ts";

/** Codes under construction; rows are closed in order. The arrays are at least as long as needed. */
export class CodeBuffer {
  rowStart: Int32Array = new Int32Array(1); // [≥ nRows + 1]
  latent: Int32Array = new Int32Array(0); // [≥ nnz]
  value: Float32Array = new Float32Array(0); // [≥ nnz]
  nRows = 0;
  nnz = 0;

  /** Empties the buffer and makes room for `nRows` rows of `capacity` codes in all. */
  reset(nRows: number, capacity: number): void {
    if (this.rowStart.length < nRows + 1) this.rowStart = new Int32Array(nRows + 1);
    this.nRows = 0;
    this.nnz = 0;
    this.reserve(capacity);
  }

  /** Makes room for `more` codes beyond those already there. */
  reserve(more: number): void {
    const need = this.nnz + more;
    if (need <= this.latent.length) return;
    const length = Math.max(need, 2 * this.latent.length);
    const latent = new Int32Array(length);
    const value = new Float32Array(length);
    latent.set(this.latent.subarray(0, this.nnz));
    value.set(this.value.subarray(0, this.nnz));
    this.latent = latent;
    this.value = value;
  }

  /** Ends the current row after `nnz` codes in all. */
  closeRow(nnz: number): void {
    this.nnz = nnz;
    this.nRows += 1;
    this.rowStart[this.nRows] = nnz;
  }

  /** Takes the codes of `nRows` rows, `nnz` in all, from a kernel that writes the arrays whole. */
  fill(
    nRows: number,
    nnz: number,
    write: (rowStart: Int32Array, latent: Int32Array, value: Float32Array) => void,
  ): void {
    this.reset(nRows, nnz);
    write(this.rowStart, this.latent, this.value);
    this.nRows = nRows;
    this.nnz = nnz;
  }

  /** A copy of exact size. */
  toCodes(dSae: number): SparseCodes {
    return {
      nTokens: this.nRows,
      dSae,
      rowStart: this.rowStart.slice(0, this.nRows + 1),
      latent: this.latent.slice(0, this.nnz),
      value: this.value.slice(0, this.nnz),
    };
  }
}
