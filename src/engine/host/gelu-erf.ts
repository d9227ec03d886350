/**
 * The exact GELU (Hendrycks & Gimpel 2016), x·Φ(x) with Φ the normal distribution, as plain loops. Φ comes from a
 * Taylor-like polynomial of erf(t)/t below t = |x|/√2 = 1 and from one of −ln erfc(t) above, both fitted at
 * Chebyshev points; Φ is within 1e-7 absolutely, and relatively within 1e-6 down to Φ(−6).
 */
import { fastExp } from "./fast-exp.ts";

const densityAtZero = 1 / Math.sqrt(2 * Math.PI);

/** Φ(x) = (1 + erf(x/√2))/2. */
export function normalCdf(x: number): number {
  const t = Math.abs(x) * Math.SQRT1_2;
  const s = t * t;
  if (t < 1) {
    const high = 0.00518908742 + s * (-8.01686429e-4 + s * 7.87587508e-5);
    const series =
      1.12837917 + s * (-0.376126267 + s * (0.112835947 + s * (-0.026854212 + s * high)));
    return 0.5 + 0.5 * x * Math.SQRT1_2 * series;
  }
  const high = -0.022043685 + t * (0.00328538865 + t * (-2.96263623e-4 + t * 1.20642879e-5));
  const low = 0.00106673092 + t * (1.12481862 + t * (0.640721417 + t * (0.102041782 + t * high)));
  const tail = 0.5 * fastExp(-low);
  return x < 0 ? tail : 1 - tail;
}

/** y = x·Φ(x). */
export function geluErfForward(x: Float32Array, y: Float32Array): void {
  for (let i = 0; i < x.length; i++) y[i] = x[i] * normalCdf(x[i]);
}

/** dx = dy·(Φ(x) + x·φ(x)), φ the normal density. */
export function geluErfBackward(dy: Float32Array, x: Float32Array, dx: Float32Array): void {
  for (let i = 0; i < x.length; i++) {
    const density = densityAtZero * fastExp(-0.5 * x[i] * x[i]);
    dx[i] = dy[i] * (normalCdf(x[i]) + x[i] * density);
  }
}
