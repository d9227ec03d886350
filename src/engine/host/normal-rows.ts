/**
 * Normal numbers by place: entry j of stream i under a key is a function of these three alone, so that a matrix of
 * noise can be made in any order, in blocks, by any number of threads. Box and Muller's transform of hashed counters
 * (Wellons' lowbias32), with polynomials (Cephes) for logarithm, sine and cosine: nothing but IEEE operations in
 * f32, one at a time, so that every machine and the native addon draw the same bits. At most 5.77 in magnitude.
 */

/** Two words that name a family of streams. */
export type DrawKey = readonly [number, number];

/** Numbers that are made together: a pair's cosine and sine stand half as far apart. */
const block = 32;

/** Fills `out` with entries 0… of stream `row`. */
export function normalRow([first, second]: DrawKey, row: number, out: Float32Array): void {
  const key = hash((first ^ hash((row + second) | 0)) | 0);
  const other = hash((key + 0x9e3779b9) | 0);
  const half = block / 2;
  for (let start = 0; start < out.length; start += block) {
    for (let lane = 0; lane < half && start + lane < out.length; lane++) {
      const counter = Math.imul(start / 2 + lane, 0x9e3779b1);
      const radius = radiusOf(hash(counter ^ key));
      const turn = hash(counter ^ other);
      const angle = f32(f32((((turn >>> 6) & 0xffffff) - 0x800000) | 0) * quarterTurn);
      const sine = sineOf(angle);
      const cosine = cosineOf(angle);
      // the upper two bits say which quarter of the circle the angle is in
      const isTurned = (turn & 0x40000000) !== 0;
      const sign = turn < 0 ? -radius : radius;
      out[start + lane] = sign * (isTurned ? -sine : cosine);
      const partner = start + lane + half;
      if (partner < out.length) out[partner] = sign * (isTurned ? cosine : sine);
    }
  }
}

const f32 = Math.fround;
const quarterTurn = f32(Math.PI / 2 / 2 ** 24);
const view = new DataView(new ArrayBuffer(4));

function hash(x: number): number {
  let h = x ^ (x >>> 16);
  h = Math.imul(h, 0x7feb352d);
  h ^= h >>> 15;
  h = Math.imul(h, 0x846ca68b);
  return h ^ (h >>> 16);
}

const logTerms = [
  7.0376836292e-2, -1.151461031e-1, 1.167699874e-1, -1.2420140846e-1, 1.4249322787e-1,
  -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
].map(f32);
const logLow = f32(-2.1219444e-4);
const logHigh = f32(0.693359375);
const rootTwo = f32(Math.SQRT2);

/** √(−2 ln u) for u = (upper 24 bits + 1) / 2²⁴. */
function radiusOf(bits: number): number {
  view.setFloat32(0, (bits >>> 8) + 1);
  const whole = view.getInt32(0);
  let exponent = (whole >> 23) - 127 - 24;
  view.setInt32(0, (whole & 0x7fffff) | 0x3f800000);
  let x = view.getFloat32(0);
  if (x > rootTwo) {
    x = x / 2;
    exponent += 1;
  }
  x = x - 1;
  const square = f32(x * x);
  let series = logTerms[0];
  for (let i = 1; i < logTerms.length; i++) series = f32(f32(series * x) + logTerms[i]);
  series = f32(f32(series * x) * square);
  series = f32(series + f32(logLow * exponent));
  series = f32(series - f32(0.5 * square));
  const log = f32(f32(x + series) + f32(logHigh * exponent));
  return f32(Math.sqrt(Math.max(f32(-2 * log), 0)));
}

const sineTerms = [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1].map(f32);
const cosineTerms = [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2].map(f32);

/** For |x| ≤ π/4. */
function sineOf(x: number): number {
  const z = f32(x * x);
  const series = f32(f32(f32(f32(sineTerms[0] * z) + sineTerms[1]) * z) + sineTerms[2]);
  return f32(f32(f32(series * z) * x) + x);
}

/** For |x| ≤ π/4. */
function cosineOf(x: number): number {
  const z = f32(x * x);
  const series = f32(f32(f32(f32(cosineTerms[0] * z) + cosineTerms[1]) * z) + cosineTerms[2]);
  return f32(f32(1 - f32(0.5 * z)) + f32(f32(series * z) * z));
}
