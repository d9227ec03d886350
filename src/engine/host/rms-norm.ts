/** RMS norm over rows, forward and backward, as plain loops (Zhang & Sennrich 2019). Sums are kept in f64. */

/** y = gain·x/√(mean x² + eps). `rstd` [n] is kept for the backward pass. */
export function rmsNormForward(
  x: Float32Array, // [n, d]
  gain: Float32Array, // [d]
  eps: number,
  y: Float32Array, // [n, d]
  rstd: Float32Array, // [n]
): void {
  const d = gain.length;
  for (let row = 0; row < rstd.length; row++) {
    const at = row * d;
    let squares = 0;
    for (let i = 0; i < d; i++) squares += x[at + i] * x[at + i];
    const r = 1 / Math.sqrt(squares / d + eps);
    rstd[row] = r;
    for (let i = 0; i < d; i++) y[at + i] = x[at + i] * r * gain[i];
  }
}

/** Gradients of `rmsNormForward`: dx [n, d] (added to what is there where `adds`), dgain [d]. */
export function rmsNormBackward(
  dy: Float32Array, // [n, d]
  x: Float32Array, // [n, d]
  rstd: Float32Array, // [n]
  gain: Float32Array, // [d]
  dx: Float32Array,
  dgain: Float32Array,
  adds: boolean,
): void {
  const d = gain.length;
  if (!adds) dx.fill(0);
  const gains = new Float64Array(d);
  for (let row = 0; row < rstd.length; row++) {
    const at = row * d;
    const r = rstd[row];
    let inner = 0;
    for (let i = 0; i < d; i++) {
      inner += dy[at + i] * gain[i] * x[at + i];
      gains[i] += dy[at + i] * x[at + i] * r;
    }
    const along = (inner / d) * r * r;
    for (let i = 0; i < d; i++) dx[at + i] += r * (dy[at + i] * gain[i] - x[at + i] * along);
  }
  dgain.set(gains);
}
