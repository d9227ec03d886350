/**
 * What kernels of correlation between the columns of two sparse matrices take and give. The plain
 * form is that of sae/persistence, where the columns are latents and the rows tokens.
 */

/** Columns of a sparse matrix, each with its rows, and their sums over all rows. */
export interface SparseColumns {
  readonly rows: number;
  readonly start: Int32Array; // [n + 1]
  readonly row: Int32Array; // [nnz]
  readonly value: Float32Array; // [nnz]
  readonly mean: Float64Array; // [n]
  /** sqrt(Σ (x − mean)²); 0 where a column has no correlation. */
  readonly norm: Float64Array; // [n]
}

/** Rows of a sparse matrix, each with its columns, and the sums of those. */
export interface SparseRows {
  readonly start: Int32Array; // [rows + 1]
  readonly column: Int32Array; // [nnz]
  readonly value: Float32Array; // [nnz]
  readonly mean: Float64Array; // [m]
  readonly norm: Float64Array; // [m]
}

/** Best partners on either side; −1 and NaN for a column that shares no row with any. */
export interface SparseMatches {
  readonly child: Int32Array; // [n, top]
  readonly correlation: Float64Array; // [n, top]
  /** For each column of the second matrix the best of the first. */
  readonly relative: Int32Array; // [m]
  readonly relativeCorrelation: Float64Array; // [m]
  /** The same among the candidates. */
  readonly claimant: Int32Array; // [m]
}

/** The two kernels; both give the plain form's numbers bit by bit. */
export interface SparseCorrelation {
  sparseMatches(
    a: SparseColumns,
    b: SparseRows,
    top: number,
    candidates: Uint8Array | undefined,
  ): SparseMatches;
  /** The highest correlation, at least 0, of each of `columns` moved on by its shift in `shifts` rows. */
  shiftedMaxima(
    a: SparseColumns,
    b: SparseRows,
    columns: Int32Array,
    shifts: Int32Array,
  ): Float64Array;
}
