// Transposition: columns become rows, at sizes below, at and past a tile, with the bits as they are.
import { expect, test } from "vitest";
import { transposed } from "../../../sae/kernels/transpose.ts";

test("columns become rows, by hand", () => {
  expect([...transposed(Float32Array.of(1, 2, 3, 4, 5, 6), 2, 3)]).toEqual([1, 4, 2, 5, 3, 6]);
});

test.each([
  [1, 1],
  [16, 16],
  [17, 33],
  [40, 5],
])("entry [r, c] of %i × %i is entry [c, r] afterwards", (rows, cols) => {
  const matrix = Float32Array.from({ length: rows * cols }, (_, i) => Math.fround(1 / (i + 1)));
  const out = transposed(matrix, rows, cols);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) expect(out[c * rows + r]).toBe(matrix[r * cols + c]);
  }
  expect(transposed(out, cols, rows)).toEqual(matrix);
});

test("an empty matrix stays empty", () => {
  expect(transposed(new Float32Array(0), 0, 3)).toHaveLength(0);
});
