/**
 * Layer norm over rows, forward and backward, as plain loops (Ba, Kiros & Hinton 2016, with the
 * biased variance that GPT-2 uses). Sums are kept in f64 (JavaScript numbers).
 */

/** y = gain·(x − mean)/√(var + eps) + bias. `mean` and `rstd` [n] are kept for the backward pass. */
export function layerNormForward(
  x: Float32Array, // [n, d]
  gain: Float32Array, // [d]
  bias: Float32Array, // [d]
  eps: number,
  y: Float32Array, // [n, d]
  mean: Float32Array, // [n]
  rstd: Float32Array, // [n]
): void {
  const d = gain.length;
  const n = rstd.length;
  for (let row = 0; row < n; row++) {
    const at = row * d;
    let sum = 0;
    for (let i = 0; i < d; i++) sum += x[at + i];
    mean[row] = sum / d;
    const m = mean[row];
    let squares = 0;
    for (let i = 0; i < d; i++) {
      const off = x[at + i] - m;
      squares += off * off;
    }
    const r = 1 / Math.sqrt(squares / d + eps);
    rstd[row] = r;
    for (let i = 0; i < d; i++) {
      y[at + i] = (x[at + i] - m) * r * gain[i] + bias[i];
    }
  }
}

/** Gradients of `layerNormForward`: dx [n, d] (added to what is there where `adds`), dgain [d], dbias [d]. */
export function layerNormBackward(
  dy: Float32Array, // [n, d]
  x: Float32Array, // [n, d]
  mean: Float32Array, // [n]
  rstd: Float32Array, // [n]
  gain: Float32Array, // [d]
  dx: Float32Array,
  dgain: Float32Array,
  dbias: Float32Array,
  adds: boolean,
): void {
  const d = gain.length;
  const n = rstd.length;
  if (!adds) dx.fill(0);
  dgain.fill(0);
  dbias.fill(0);
  for (let row = 0; row < n; row++) {
    const at = row * d;
    const m = mean[row];
    const r = rstd[row];
    let sumG = 0;
    let sumGX = 0;
    for (let i = 0; i < d; i++) {
      const dyi = dy[at + i];
      const xi = (x[at + i] - m) * r;
      const g = dyi * gain[i];
      sumG += g;
      sumGX += g * xi;
      dgain[i] += dyi * xi;
      dbias[i] += dyi;
    }
    const meanG = sumG / d;
    const meanGX = sumGX / d;
    for (let i = 0; i < d; i++) {
      const xi = (x[at + i] - m) * r;
      dx[at + i] += r * (dy[at + i] * gain[i] - meanG - xi * meanGX);
    }
  }
}
