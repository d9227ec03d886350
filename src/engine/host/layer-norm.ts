/**
 * Layer norm over rows, forward and backward, as plain loops (Ba, Kiros & Hinton 2016, with the
 * biased variance that GPT-2 uses). Sums are kept in f64 (JavaScript numbers).
 */

/** y = gain·(x − mean)/√(var + eps) + bias. `xhat` [n,d] and `rstd` [n] are kept for the backward pass. */
export function layerNormForward(
  x: Float32Array, // [n, d]
  gain: Float32Array, // [d]
  bias: Float32Array, // [d]
  eps: number,
  y: Float32Array, // [n, d]
  xhat: Float32Array, // [n, d]
  rstd: Float32Array, // [n]
): void {
  const d = gain.length;
  const n = rstd.length;
  for (let row = 0; row < n; row++) {
    const at = row * d;
    let sum = 0;
    for (let i = 0; i < d; i++) sum += x[at + i];
    const mean = sum / d;
    let squares = 0;
    for (let i = 0; i < d; i++) {
      const off = x[at + i] - mean;
      squares += off * off;
    }
    const r = 1 / Math.sqrt(squares / d + eps);
    rstd[row] = r;
    for (let i = 0; i < d; i++) {
      const normal = (x[at + i] - mean) * r;
      xhat[at + i] = normal;
      y[at + i] = normal * gain[i] + bias[i];
    }
  }
}

/** Gradients of `layerNormForward`: dx [n,d], dgain [d], dbias [d]. */
export function layerNormBackward(
  dy: Float32Array, // [n, d]
  xhat: Float32Array, // [n, d]
  rstd: Float32Array, // [n]
  gain: Float32Array, // [d]
  dx: Float32Array,
  dgain: Float32Array,
  dbias: Float32Array,
): void {
  const d = gain.length;
  const n = rstd.length;
  dgain.fill(0);
  dbias.fill(0);
  for (let row = 0; row < n; row++) {
    const at = row * d;
    let sumG = 0;
    let sumGX = 0;
    for (let i = 0; i < d; i++) {
      const dyi = dy[at + i];
      const xi = xhat[at + i];
      const g = dyi * gain[i];
      sumG += g;
      sumGX += g * xi;
      dgain[i] += dyi * xi;
      dbias[i] += dyi;
    }
    const meanG = sumG / d;
    const meanGX = sumGX / d;
    const r = rstd[row];
    for (let i = 0; i < d; i++) {
      dx[at + i] = r * (dy[at + i] * gain[i] - meanG - xhat[at + i] * meanGX);
    }
  }
}
