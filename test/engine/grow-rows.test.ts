// Normal numbers by place, and the kernels that make a grown matrix: their distribution, blocks of any size, and the addon's bits.
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import {
  freshSource,
  type GrowRecipe,
  meanSource,
  zeroSource,
} from "../../src/engine/host/grow-rows.ts";
import { hostKernels, plainKernels } from "../../src/engine/host/kernels.ts";
import { normalRow } from "../../src/engine/host/normal-rows.ts";
import { createRng, setThreads, useBackend } from "../../src/engine/index.ts";
import { missingNative } from "../support/native.ts";
import { testWith } from "../support/require.ts";

const missing = await missingNative();
const native = testWith("native", missing);
const kernels = missing === undefined ? hostKernels() : plainKernels;

afterAll(async () => {
  await useBackend("wasm");
});

describe("normal numbers by place", () => {
  test("have the moments and the tails of a normal distribution", () => {
    const z = new Float32Array(2 ** 18);
    normalRow([1, 2], 3, z);
    const moment = (power: number): number => z.reduce((sum, x) => sum + x ** power, 0) / z.length;
    expect(moment(1)).toBeCloseTo(0, 2);
    expect(moment(2)).toBeCloseTo(1, 2);
    expect(moment(4)).toBeCloseTo(3, 1);
    for (const [bound, share] of [
      [0.5, 0.617075],
      [1, 0.317311],
      [2, 0.0455],
      [3, 0.0027],
    ]) {
      const beyond = z.reduce((count, x) => count + (Math.abs(x) > bound ? 1 : 0), 0) / z.length;
      expect(Math.abs(beyond - share)).toBeLessThan(5 * Math.sqrt(share / z.length));
    }
  });

  test("do not depend on how many are asked for, and differ between streams and keys", () => {
    const long = new Float32Array(100);
    normalRow([7, 8], 9, long);
    for (const n of [0, 1, 15, 16, 17, 31, 32, 33]) {
      const short = new Float32Array(n);
      normalRow([7, 8], 9, short);
      expect(short).toEqual(long.slice(0, n));
    }
    for (const [key, row] of [
      [[7, 8], 10],
      [[7, 9], 9],
      [[8, 8], 9],
    ] as const) {
      const other = new Float32Array(100);
      normalRow(key, row, other);
      expect(other.some((x, i) => x === long[i])).toBe(false);
    }
  });

  test("neighbouring streams are not correlated, at any shift", () => {
    const n = 4096;
    const [a, b] = [new Float32Array(n), new Float32Array(n)];
    normalRow([5, 6], 1, a);
    normalRow([5, 6], 2, b);
    for (let shift = 0; shift < 64; shift++) {
      let sum = 0;
      for (let i = 0; i + shift < n; i++) sum += a[i] * b[i + shift];
      expect(Math.abs(sum / n)).toBeLessThan(5 / Math.sqrt(n));
    }
  });
});

const size = (max: number) => fc.integer({ min: 1, max });
const recipes = fc
  .record({ nRow: size(9), nColumn: size(70), rows: size(20), width: size(90), seed: fc.nat() })
  .chain(({ nRow, nColumn, rows, width, seed }) =>
    fc.record({
      parent: fc.constant(randomArray(nRow * nColumn, seed)),
      nColumn: fc.constant(nColumn),
      rows: sources(nRow, rows),
      columns: sources(nColumn, width),
      weighted: fc.boolean(),
      noise: fc.constantFrom("none", "rows", "columns"),
      freshScale: fc.constantFrom(0, 0.3),
      seed: fc.constant(seed),
    }),
  )
  .map(({ parent, nColumn, rows, columns, weighted, noise, freshScale, seed }) => {
    const rng = createRng(seed);
    const inputs = noise === "none" ? 0 : (noise === "rows" ? rows : columns).length;
    const recipe: GrowRecipe = {
      nColumns: nColumn,
      rows,
      rowWeights: Float64Array.from(rows, () => rng.normal()),
      meanRow: plainKernels.columnMeans(parent, nColumn),
      meanSpread: freshScale,
      meanKey: [seed, 11],
      columns,
      columnWeights: weighted
        ? Float64Array.from(columns, () => rng.normal())
        : new Float64Array(0),
      noiseAxis: noise === "columns" ? 1 : 0,
      slots: Int32Array.from({ length: 2 * inputs }, () => rng.int(inputs)),
      coefficients: Float64Array.from({ length: 2 * inputs }, () =>
        rng.int(3) === 0 ? 0 : rng.normal(),
      ),
      noiseKey: [seed, 5],
      freshValue: 0.25,
      freshScale,
      freshKey: [9, seed],
    };
    return { parent, recipe };
  });

function sources(n: number, length: number): fc.Arbitrary<Int32Array> {
  const one = fc.oneof(
    { arbitrary: fc.nat(n - 1), weight: 6 },
    { arbitrary: fc.constantFrom(meanSource, freshSource, zeroSource), weight: 1 },
  );
  return fc
    .array(one, { minLength: length, maxLength: length })
    .map((from) => Int32Array.from(from));
}

function randomArray(length: number, seed: number): Float32Array {
  const rng = createRng(seed);
  return Float32Array.from({ length }, () => rng.normal());
}

describe("rows of a grown matrix", () => {
  const whole = (table: typeof plainKernels, parent: Float32Array, recipe: GrowRecipe) => {
    const out = new Float32Array(recipe.rows.length * recipe.columns.length).fill(Number.NaN);
    table.growRows(parent, recipe, 0, out);
    return out;
  };

  test("a small one by hand: copies with factors, means, fresh entries", () => {
    const recipe: GrowRecipe = {
      nColumns: 2,
      rows: Int32Array.of(1, 0, meanSource, freshSource),
      rowWeights: Float64Array.of(2, 1, 1, 1),
      meanRow: Float64Array.of(2, 3),
      meanSpread: 0,
      meanKey: [0, 0],
      columns: Int32Array.of(1, meanSource, 0, freshSource),
      columnWeights: Float64Array.of(1, 2, 0.5, 1),
      noiseAxis: 0,
      slots: new Int32Array(0),
      coefficients: new Float64Array(0),
      noiseKey: [0, 0],
      freshValue: 9,
      freshScale: 0,
      freshKey: [0, 0],
    };
    const rows = [
      [8, 14, 3, 9],
      [2, 3, 0.5, 9],
      [3, 5, 1, 9],
      [9, 9, 9, 9],
    ];
    expect(whole(plainKernels, Float32Array.of(1, 2, 3, 4), recipe)).toEqual(
      Float32Array.from(rows.flat()),
    );
  });

  test("are the same in blocks of any number of rows", () => {
    fc.assert(
      fc.property(recipes, size(7), ({ parent, recipe }, count) => {
        const want = whole(plainKernels, parent, recipe);
        const width = recipe.columns.length;
        for (let row = 0; row < recipe.rows.length; row += count) {
          const n = Math.min(count, recipe.rows.length - row);
          const block = new Float32Array(n * width);
          plainKernels.growRows(parent, recipe, row, block);
          expect(block).toEqual(want.slice(row * width, (row + n) * width));
        }
      }),
    );
  });

  native("have the plain loops' bits from the addon", async () => {
    fc.assert(
      fc.property(recipes, ({ parent, recipe }) => {
        expect(whole(kernels, parent, recipe)).toEqual(whole(plainKernels, parent, recipe));
      }),
      { numRuns: 300 },
    );
  });

  native("are the same for any number of threads, where there is work for several", async () => {
    const [nRow, nColumn] = [700, 500];
    const parent = randomArray(nRow * nColumn, 1);
    const inputs = 2 * nRow;
    const recipe: GrowRecipe = {
      nColumns: nColumn,
      rows: Int32Array.from({ length: inputs }, (_, i) => i % nRow),
      rowWeights: new Float64Array(inputs).fill(0.3),
      meanRow: new Float64Array(0),
      meanSpread: 0,
      meanKey: [0, 0],
      columns: Int32Array.from({ length: 2 * nColumn }, (_, i) => i % nColumn),
      columnWeights: new Float64Array(0),
      noiseAxis: 0,
      slots: Int32Array.from({ length: 2 * inputs }, (_, i) => i % nRow),
      coefficients: Float64Array.from({ length: 2 * inputs }, (_, i) =>
        i >= inputs ? 0 : i < nRow ? 1 : -1,
      ),
      noiseKey: [1, 2],
      freshValue: 0,
      freshScale: 0,
      freshKey: [3, 4],
    };
    const [one, four] = [1, 4].map((threads) => {
      setThreads(threads);
      return whole(kernels, parent, recipe);
    });
    const plain = whole(plainKernels, parent, recipe);
    expect(Buffer.compare(Buffer.from(four.buffer), Buffer.from(one.buffer))).toBe(0);
    expect(Buffer.compare(Buffer.from(plain.buffer), Buffer.from(one.buffer))).toBe(0);
    expect(kernels.columnMeans(parent, nColumn)).toEqual(plainKernels.columnMeans(parent, nColumn));
    const [rows, columns] = [nRow, nColumn].map((n) =>
      Float64Array.from({ length: n }, (_, i) => i % 5),
    );
    expect(kernels.weightedSquares(parent, rows, columns)).toBe(
      plainKernels.weightedSquares(parent, rows, columns),
    );
  });

  native("sizes that disagree are refused", async () => {
    const recipe: GrowRecipe = {
      nColumns: 2,
      rows: Int32Array.of(0, 1),
      rowWeights: Float64Array.of(1, 1),
      meanRow: new Float64Array(0),
      meanSpread: 0,
      meanKey: [0, 0],
      columns: Int32Array.of(0, 1),
      columnWeights: new Float64Array(0),
      noiseAxis: 0,
      slots: new Int32Array(0),
      coefficients: new Float64Array(0),
      noiseKey: [0, 0],
      freshValue: 0,
      freshScale: 0,
      freshKey: [0, 0],
    };
    const parent = Float32Array.of(1, 2, 3, 4);
    const out = new Float32Array(4);
    const changes: Partial<GrowRecipe>[] = [
      { rows: Int32Array.of(0, 2) },
      { columns: Int32Array.of(0, -4) },
      { rows: Int32Array.of(0, meanSource) },
      { rowWeights: Float64Array.of(1) },
      { columnWeights: Float64Array.of(1) },
      { slots: Int32Array.of(0, -1, 0, 0), coefficients: new Float64Array(4) },
      { slots: Int32Array.of(0, 0), coefficients: new Float64Array(2) },
    ];
    for (const change of changes) {
      expect(() => kernels.growRows(parent, { ...recipe, ...change }, 0, out)).toThrow(/disagree/);
    }
    expect(() => kernels.growRows(parent, recipe, 1, out)).toThrow(/disagree/);
    expect(() => kernels.columnMeans(parent, 3)).toThrow(/whole rows/);
    expect(() => kernels.weightedSquares(parent, new Float64Array(1), new Float64Array(2))).toThrow(
      /disagree/,
    );
  });
});
