import fc from "fast-check";
import { expect, test } from "vitest";
import { CodeBuffer } from "../../../sae/kernels/code-buffer.ts";
import {
  createBatchTopKScratch,
  selectAbove,
  selectBatchTopK,
  selectTopAmong,
  selectTopK,
} from "../../../sae/kernels/select.ts";

const rows = (out: CodeBuffer): [number, number][][] =>
  Array.from({ length: out.nRows }, (_, t) =>
    Array.from({ length: out.rowStart[t + 1] - out.rowStart[t] }, (_, i) => {
      const p = out.rowStart[t] + i;
      return [out.latent[p], out.value[p]] as [number, number];
    }),
  );

/** Sorts everything, keeps the first `total` positive ones: value descending, then position. */
function naiveTop(pre: Float32Array, nRows: number, nCols: number, total: number) {
  const order = [...pre.keys()]
    .filter((at) => pre[at] > 0)
    .sort((a, b) => pre[b] - pre[a] || a - b)
    .slice(0, total)
    .sort((a, b) => a - b);
  return Array.from({ length: nRows }, (_, t) =>
    order.filter((at) => Math.floor(at / nCols) === t).map((at) => [at % nCols, pre[at]]),
  );
}

const matrix = fc
  .tuple(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 9 }))
  .chain(([nRows, nCols]) =>
    fc.record({
      nRows: fc.constant(nRows),
      nCols: fc.constant(nCols),
      // few distinct values, so that ties are common
      pre: fc
        .array(fc.oneof(fc.integer({ min: -3, max: 3 }), fc.float({ noNaN: true })), {
          minLength: nRows * nCols,
          maxLength: nRows * nCols,
        })
        .map((values) => Float32Array.from(values)),
    }),
  );

test("BatchTopK keeps the largest values of the whole batch", () => {
  const pre = Float32Array.of(5, 1, -2, 0, 4, 3);
  const out = new CodeBuffer();
  const least = selectBatchTopK(pre, 2, 3, 3, 0, out, createBatchTopKScratch());
  expect(rows(out)).toEqual([
    [[0, 5]],
    [
      [1, 4],
      [2, 3],
    ],
  ]);
  expect(least).toBe(3);
});

test("BatchTopK equals sorting, whatever the guess, with ties to the lower position", () => {
  const out = new CodeBuffer();
  const scratch = createBatchTopKScratch();
  fc.assert(
    fc.property(
      matrix,
      fc.integer({ min: 1, max: 70 }),
      fc.float({ min: 0, max: 5, noNaN: true }),
      ({ pre, nRows, nCols }, total, guess) => {
        const least = selectBatchTopK(pre, nRows, nCols, total, guess, out, scratch);
        const want = naiveTop(pre, nRows, nCols, total);
        expect(rows(out)).toEqual(want);
        const values = want.flat().map(([, value]) => value);
        expect(least).toBe(values.length > 0 ? Math.min(...values) : 0);
      },
    ),
  );
});

test("TopK equals sorting each row and never keeps a value that is not positive", () => {
  const out = new CodeBuffer();
  fc.assert(
    fc.property(matrix, fc.integer({ min: 1, max: 12 }), ({ pre, nRows, nCols }, k) => {
      selectTopK(pre, nRows, nCols, k, out);
      const want = Array.from(
        { length: nRows },
        (_, t) => naiveTop(pre.slice(t * nCols, (t + 1) * nCols), 1, nCols, k)[0],
      );
      expect(rows(out)).toEqual(want);
    }),
  );
});

test("JumpReLU keeps what exceeds its own latent's threshold, strictly, and is positive", () => {
  const out = new CodeBuffer();
  selectAbove(Float32Array.of(1, 2, -1, 1.5, 2.5, 0), 2, 3, Float32Array.of(1, 1, -2), out);
  expect(rows(out)).toEqual([
    [[1, 2]],
    [
      [0, 1.5],
      [1, 2.5],
    ],
  ]);
});

test("the top few among given latents ignore all others", () => {
  const out = new CodeBuffer();
  selectTopAmong(Float32Array.of(9, 1, 2, 3, 9, -1, -2, -3), 2, 4, Int32Array.of(1, 2, 3), 2, out);
  expect(rows(out)).toEqual([
    [
      [2, 2],
      [3, 3],
    ],
    [],
  ]);
});

test("no rows, no latents and NaN select nothing", () => {
  const out = new CodeBuffer();
  const scratch = createBatchTopKScratch();
  expect(selectBatchTopK(new Float32Array(0), 0, 3, 4, 0, out, scratch)).toBe(0);
  expect(rows(out)).toEqual([]);
  selectTopK(new Float32Array(0), 0, 3, 4, out);
  expect(rows(out)).toEqual([]);
  expect(selectBatchTopK(Float32Array.of(Number.NaN, -1), 1, 2, 1, 0, out, scratch)).toBe(0);
  selectTopK(Float32Array.of(Number.NaN, 1), 1, 2, 2, out);
  expect(rows(out)).toEqual([[[1, 1]]]);
});
