/**
 * @file Sparse decoding and what follows from it per token: the residual, and the gradient with
 * respect to each active latent. Loops take four latents at a time, so that a row of the residual is
 * read and written once for four; sums are f64.
 */

/** The CSR arrays of sparse codes; longer arrays than needed are fine. */
export interface CodeArrays {
  readonly rowStart: Int32Array;
  readonly latent: Int32Array;
  readonly value: Float32Array;
}

/**
 * residual = target − Σ_i f_i W_dec[i, :] for every row, and slope_p = residual · W_dec[latent_p, :]
 * for every code p (so that d‖residual‖²/df_p = −2 slope_p). Returns Σ‖residual‖² over all rows.
 * `residual` may be `target` itself.
 */
export function residualAndSlopes(
  codes: CodeArrays,
  nRows: number,
  dOut: number,
  W_dec: Float32Array, // [d_sae, dOut]
  target: Float32Array, // [nRows, dOut]
  residual: Float32Array, // [nRows, dOut]
  slope: Float32Array, // [≥ nnz]
): number {
  const { rowStart, latent, value } = codes;
  const row = new Float64Array(dOut);
  let total = 0;
  for (let t = 0; t < nRows; t++) {
    const at = t * dOut;
    for (let j = 0; j < dOut; j++) row[j] = target[at + j];
    addDecoded(row, rowStart[t], rowStart[t + 1], latent, value, W_dec, -1);
    for (let j = 0; j < dOut; j++) {
      const r = row[j];
      residual[at + j] = r;
      total += r * r;
    }
    slopesOfRow(row, rowStart[t], rowStart[t + 1], latent, W_dec, slope);
  }
  return total;
}

/** out = Σ_i f_i W_dec[i, :] + b_dec for every row. */
export function decodeRows(
  codes: CodeArrays,
  nRows: number,
  dOut: number,
  W_dec: Float32Array, // [d_sae, dOut]
  b_dec: Float32Array, // [dOut]
  out: Float32Array, // [nRows, dOut]
): void {
  const row = new Float64Array(dOut);
  for (let t = 0; t < nRows; t++) {
    for (let j = 0; j < dOut; j++) row[j] = b_dec[j];
    addDecoded(row, codes.rowStart[t], codes.rowStart[t + 1], codes.latent, codes.value, W_dec, 1);
    const at = t * dOut;
    for (let j = 0; j < dOut; j++) out[at + j] = row[j];
  }
}

/** row += sign · Σ_{from ≤ p < to} value_p W_dec[latent_p, :]. */
function addDecoded(
  row: Float64Array,
  from: number,
  to: number,
  latent: Int32Array,
  value: Float32Array,
  W_dec: Float32Array,
  sign: number,
): void {
  const d = row.length;
  let p = from;
  for (; p + 3 < to; p += 4) {
    const f0 = sign * value[p];
    const f1 = sign * value[p + 1];
    const f2 = sign * value[p + 2];
    const f3 = sign * value[p + 3];
    const w0 = latent[p] * d;
    const w1 = latent[p + 1] * d;
    const w2 = latent[p + 2] * d;
    const w3 = latent[p + 3] * d;
    for (let j = 0; j < d; j++) {
      row[j] += f0 * W_dec[w0 + j] + f1 * W_dec[w1 + j] + f2 * W_dec[w2 + j] + f3 * W_dec[w3 + j];
    }
  }
  for (; p < to; p++) {
    const f = sign * value[p];
    const w = latent[p] * d;
    for (let j = 0; j < d; j++) row[j] += f * W_dec[w + j];
  }
}

/** slope_p = row · W_dec[latent_p, :] for from ≤ p < to. */
function slopesOfRow(
  row: Float64Array,
  from: number,
  to: number,
  latent: Int32Array,
  W_dec: Float32Array,
  slope: Float32Array,
): void {
  const d = row.length;
  let p = from;
  for (; p + 3 < to; p += 4) {
    const w0 = latent[p] * d;
    const w1 = latent[p + 1] * d;
    const w2 = latent[p + 2] * d;
    const w3 = latent[p + 3] * d;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let j = 0; j < d; j++) {
      const r = row[j];
      s0 += r * W_dec[w0 + j];
      s1 += r * W_dec[w1 + j];
      s2 += r * W_dec[w2 + j];
      s3 += r * W_dec[w3 + j];
    }
    slope[p] = s0;
    slope[p + 1] = s1;
    slope[p + 2] = s2;
    slope[p + 3] = s3;
  }
  for (; p < to; p++) {
    const w = latent[p] * d;
    let s = 0;
    for (let j = 0; j < d; j++) s += row[j] * W_dec[w + j];
    slope[p] = s;
  }
}
