import fc from "fast-check";
import { expect, test } from "vitest";
import { bucketByLatent, createBuckets } from "../../../sae/kernels/bucket.ts";
import {
  type CodeArrays,
  decodeRows,
  residualAndSlopes,
} from "../../../sae/kernels/reconstruct.ts";
import { projectOutRows, rowNorms, setRowNorms } from "../../../sae/kernels/row-norms.ts";
import { transposeInto } from "../../../sae/kernels/transpose.ts";
import { decoderBiasGradient, weightGradients } from "../../../sae/kernels/weight-gradients.ts";
import { createRng } from "../../../src/engine/random.ts";

// One token, two inputs, two latents, both active:
// x = (1, 2), W_dec = [[1, 0], [1, 1]], f = (1, 2) → x̂ = (3, 2), residual = (−2, 0), slopes (−2, −2).
const tiny: CodeArrays = {
  rowStart: Int32Array.of(0, 2),
  latent: Int32Array.of(0, 1),
  value: Float32Array.of(1, 2),
};
const tinyDec = Float32Array.of(1, 0, 1, 1);
const tinyX = Float32Array.of(1, 2);

test("the residual is the target less the decoded codes, and slopes are its products with decoder rows", () => {
  const residual = new Float32Array(2);
  const slope = new Float32Array(2);
  expect(residualAndSlopes(tiny, 1, 2, tinyDec, tinyX, residual, slope)).toBe(4);
  expect([...residual]).toEqual([-2, 0]);
  expect([...slope]).toEqual([-2, -2]);
  const out = new Float32Array(2);
  decodeRows(tiny, 1, 2, tinyDec, Float32Array.of(10, 20), out);
  expect([...out]).toEqual([13, 22]);
});

test("weight gradients of one token are those worked out by hand", () => {
  const out = zeros(2, 2);
  const buckets = createBuckets();
  bucketByLatent(tiny, 1, 2, buckets);
  const residual = Float32Array.of(-2, 0);
  weightGradients(tiny, buckets, Float32Array.of(-2, -2), residual, tinyX, 1, false, out);
  expect(out.W_dec).toBeAllclose([4, 0, 8, 0]);
  expect([...out.W_enc]).toEqual([4, 8, 4, 8]);
  expect([...out.b_enc]).toEqual([4, 4]);
  weightGradients(tiny, buckets, Float32Array.of(-2, -2), residual, tinyX, 0.5, true, out);
  expect(out.W_dec).toBeAllclose([6, 0, 12, 0]);
  const bias = new Float32Array(2);
  // −2 Σ r = (4, 0); less 4·(1, 0) and 4·(3, 1) through the encoder
  const encoder = { W_enc: Float32Array.of(1, 0, 3, 1), b_enc: Float32Array.of(4, 4) };
  decoderBiasGradient([residual], encoder, 1, bias);
  expect([...bias]).toEqual([-12, -4]);
  // two reconstructions with b_dec in both: −2 Σ r twice
  decoderBiasGradient([residual, residual], encoder, 1, bias);
  expect([...bias]).toEqual([-8, -4]);
  // an encoder that reads its input whole has no part in it
  decoderBiasGradient([residual], null, 1, bias);
  expect([...bias]).toEqual([4, -0]);
});

test("a latent without codes gets a zero gradient, or keeps its own when adding", () => {
  const out = zeros(2, 3);
  out.W_dec.fill(7);
  const buckets = createBuckets();
  bucketByLatent(tiny, 1, 3, buckets);
  const residual = Float32Array.of(-2, 0);
  const slope = Float32Array.of(-2, -2);
  weightGradients(tiny, buckets, slope, residual, tinyX, 1, true, out);
  expect([...out.W_dec.subarray(4)]).toEqual([7, 7]);
  weightGradients(tiny, buckets, slope, residual, tinyX, 1, false, out);
  expect([...out.W_dec.subarray(4)]).toEqual([0, 0]);
});

test("regrouping by latent keeps every code, rows ascending", () => {
  const buckets = createBuckets();
  const codes = {
    rowStart: Int32Array.of(0, 2, 2, 4),
    latent: Int32Array.of(1, 3, 0, 3),
    value: Float32Array.of(1, 2, 3, 4),
  };
  bucketByLatent(codes, 3, 4, buckets);
  expect([...buckets.start]).toEqual([0, 1, 2, 2, 4]);
  expect([...buckets.row]).toEqual([2, 0, 0, 2]);
  expect([...buckets.position]).toEqual([2, 0, 1, 3]);
});

test("all gradients agree with central differences of an f64 loss at any size", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer(),
      (nRows, dIn, dSae, seed) => {
        const rng = createRng(seed);
        const draw = (n: number) => Float32Array.from({ length: n }, () => rng.normal());
        const w = {
          W_enc: draw(dSae * dIn),
          b_enc: draw(dSae),
          W_dec: draw(dSae * dIn),
          b_dec: draw(dIn),
        };
        const x = draw(nRows * dIn);
        const active = Array.from({ length: nRows }, () =>
          [...Array(dSae).keys()].filter(() => rng.next() < 0.5),
        );
        const got = kernelGradients(w, x, active, dIn, dSae);
        for (const name of ["W_enc", "b_enc", "W_dec", "b_dec"] as const) {
          const at = rng.int(w[name].length);
          const wide = Object.fromEntries(
            Object.entries(w).map(([key, value]) => [key, Float64Array.from(value)]),
          );
          const h = 1e-4;
          wide[name][at] += h;
          const up = naiveLoss(wide, x, active, dIn);
          wide[name][at] -= 2 * h;
          const down = naiveLoss(wide, x, active, dIn);
          // the loss is a polynomial of degree ≤ 4 in each weight, so the difference is nearly exact
          const want = (up - down) / (2 * h);
          expect(Math.abs(got[name][at] - want)).toBeLessThan(
            1e-4 * (1 + gradientScale(got[name])),
          );
        }
      },
    ),
    { numRuns: 60 },
  );
});

test("row norms are measured, set, and kept by a projected step to first order", () => {
  const matrix = Float32Array.of(3, 4, 0, 0, 0, 2);
  expect([...rowNorms(matrix, 2)]).toEqual([5, 0, 2]);
  setRowNorms(matrix, Float32Array.of(1, 1, 3));
  expect(matrix).toBeAllclose([0.6, 0.8, 0, 0, 0, 3]);
  const gradient = Float32Array.of(1, 0, 5, 6, 7, 8);
  projectOutRows(gradient, matrix, 2);
  expect(gradient).toBeAllclose([0.64, -0.48, 5, 6, 7, 0]);
});

test("transposing twice gives the matrix back at sizes off the tile", () => {
  const matrix = Float32Array.from({ length: 17 * 35 }, (_, i) => i);
  const once = new Float32Array(matrix.length);
  const twice = new Float32Array(matrix.length);
  transposeInto(matrix, 17, 35, once);
  expect(once[1]).toBe(35);
  transposeInto(once, 35, 17, twice);
  expect(twice).toEqual(matrix);
});

const zeros = (d: number, n: number) => ({
  W_enc: new Float32Array(n * d),
  b_enc: new Float32Array(n),
  W_dec: new Float32Array(n * d),
});

const gradientScale = (g: Float32Array) => Math.max(...g.map(Math.abs));

type Weights = Record<string, Float32Array | Float64Array>;

/** Σ_t ‖x_t − b_dec − Σ_{i active} f_i W_dec_i‖² / nRows with f_i = W_enc_i·(x_t − b_dec) + b_enc_i. */
function naiveLoss(w: Weights, x: Float32Array, active: number[][], d: number): number {
  let total = 0;
  active.forEach((latents, t) => {
    const centred = Array.from({ length: d }, (_, j) => x[t * d + j] - w.b_dec[j]);
    const residual = [...centred];
    for (const i of latents) {
      let f = w.b_enc[i];
      for (let j = 0; j < d; j++) f += w.W_enc[i * d + j] * centred[j];
      for (let j = 0; j < d; j++) residual[j] -= f * w.W_dec[i * d + j];
    }
    for (const r of residual) total += r * r;
  });
  return total / active.length;
}

function kernelGradients(
  w: { W_enc: Float32Array; b_enc: Float32Array; W_dec: Float32Array; b_dec: Float32Array },
  x: Float32Array,
  active: number[][],
  d: number,
  dSae: number,
) {
  const nRows = active.length;
  const centred = x.map((value, at) => value - w.b_dec[at % d]);
  const latent = Int32Array.from(active.flat());
  const rowStart = Int32Array.from(
    { length: nRows + 1 },
    (_, t) => active.slice(0, t).flat().length,
  );
  const value = Float32Array.from(
    active.flatMap((latents, t) =>
      latents.map((i) => {
        let f = w.b_enc[i];
        for (let j = 0; j < d; j++) f += w.W_enc[i * d + j] * centred[t * d + j];
        return f;
      }),
    ),
  );
  const codes = { rowStart, latent, value };
  const residual = new Float32Array(nRows * d);
  const slope = new Float32Array(latent.length);
  residualAndSlopes(codes, nRows, d, w.W_dec, centred, residual, slope);
  const buckets = createBuckets();
  bucketByLatent(codes, nRows, dSae, buckets);
  const out = zeros(d, dSae);
  weightGradients(codes, buckets, slope, residual, centred, 1 / nRows, false, out);
  const b_dec = new Float32Array(d);
  decoderBiasGradient([residual], { W_enc: w.W_enc, b_enc: out.b_enc }, 1 / nRows, b_dec);
  return { ...out, b_dec };
}
