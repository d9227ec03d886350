// Best matches between the rows of two matrices: by hand, against f64 loops over all pairs, on both forms.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bestMatches, createRng, type MatchMeasure, useBackend } from "../../src/engine/index.ts";
import { missingNative } from "../support/native.ts";
import { testWith } from "../support/require.ts";

const missing = await missingNative();
const measures: readonly MatchMeasure[] = ["dot", "cosine", "correlation"];

/** The measure of two rows in f64; NaN where they have none. */
function score(x: Float32Array, y: Float32Array, measure: MatchMeasure): number {
  const centre = (row: Float32Array): number[] => {
    const mean = measure === "correlation" ? row.reduce((s, v) => s + v, 0) / row.length : 0;
    return Array.from(row, (v) => v - mean);
  };
  const [u, v] = [centre(x), centre(y)];
  const dot = (p: number[], q: number[]): number => p.reduce((s, value, i) => s + value * q[i], 0);
  return measure === "dot" ? dot(u, v) : dot(u, v) / Math.sqrt(dot(u, u) * dot(v, v));
}

function rowsOf(x: Float32Array, width: number): Float32Array[] {
  return Array.from({ length: x.length / width }, (_, i) => x.subarray(i * width, (i + 1) * width));
}

/** Each match has the value of its pair, and no pair left out has a better one. */
async function expectBest(
  a: Float32Array,
  b: Float32Array,
  width: number,
  top: number,
  measure: MatchMeasure,
): Promise<void> {
  const { index, value } = await bestMatches(a, b, width, { top, measure });
  const others = rowsOf(b, width);
  for (const [i, row] of rowsOf(a, width).entries()) {
    const all = others.map((other) => score(row, other, measure));
    const sorted = all.filter((x) => !Number.isNaN(x)).sort((x, y) => y - x);
    const want = sorted.slice(0, top);
    const got = [...index.subarray(i * top, (i + 1) * top)];
    const values = [...value.subarray(i * top, (i + 1) * top)];
    expect(values.slice(0, want.length)).toBeAllclose(want, { rtol: 1e-5, atol: 1e-5 });
    const chosen = got.slice(0, want.length).map((j) => all[j]);
    expect(chosen).toBeAllclose(want, { rtol: 1e-5, atol: 1e-5 });
    expect(new Set(got.slice(0, want.length)).size).toBe(want.length);
    expect(got.slice(want.length)).toEqual(Array(top - want.length).fill(-1));
    expect(values.slice(want.length)).toEqual(Array(top - want.length).fill(Number.NaN));
  }
}

for (const backend of ["wasm", "native"] as const) {
  const on = testWith("native", backend === "native" ? missing : undefined);
  describe(`on ${backend}`, () => {
    beforeAll(async () => {
      if (backend === "wasm" || missing === undefined) await useBackend(backend);
    });
    afterAll(async () => {
      await useBackend("wasm");
    });

    on("two rows among three, by hand", async () => {
      const a = Float32Array.of(3, 4, 0, 0);
      const b = Float32Array.of(0, 2, 6, 8, -3, -4);
      const cosine = await bestMatches(a, b, 2, { top: 2 });
      expect(cosine.index).toEqual(Int32Array.of(1, 0, -1, -1));
      expect(cosine.value.subarray(0, 2)).toBeAllclose([1, 0.8]);
      expect(cosine.value.subarray(2)).toEqual(Float32Array.of(Number.NaN, Number.NaN));
      const dot = await bestMatches(a, b, 2, { measure: "dot" });
      expect(dot).toEqual({ index: Int32Array.of(1, 0), value: Float32Array.of(50, 0) });
      const ramp = Float32Array.of(1, 2, 3, 7, 7, 7);
      const slopes = Float32Array.of(30, 20, 10, 4, 5, 6);
      const { index, value } = await bestMatches(ramp, slopes, 3, { measure: "correlation" });
      expect(index).toEqual(Int32Array.of(1, -1));
      expect(value[0]).toBeCloseTo(1, 6);
    });

    const sizes = [
      [1, 1, 1, 1],
      [3, 2, 5, 4],
      [67, 33, 17, 3],
      [600, 31, 9, 1],
      [20, 2300, 13, 9],
      [21, 901, 67, 5],
    ];
    for (const [n, m, width, top] of sizes) {
      on(`${n} rows of ${width} among ${m}, the best ${top}`, async () => {
        const rng = createRng(`best ${n}`);
        const normal = (count: number): Float32Array =>
          Float32Array.from({ length: count * width }, () => rng.normal());
        const [a, b] = [normal(n), normal(m)];
        for (const measure of measures) await expectBest(a, b, width, top, measure);
      });
    }

    on("zeros, constant rows and NaN match nothing, infinite ones neither", async () => {
      const rng = createRng("holes");
      const rows = (count: number): Float32Array =>
        Float32Array.from({ length: count * 6 }, () => rng.normal());
      const [a, b] = [rows(9), rows(40)];
      for (const x of [a, b]) {
        x.fill(0, 0, 6);
        x.fill(0.1, 6, 12);
        x[14] = Number.NaN;
      }
      for (const measure of measures) await expectBest(a, b, 6, 40, measure);
      b[20] = Infinity;
      const { index } = await bestMatches(a, b, 6, { top: 40 });
      expect(index).not.toContain(3);
    });

    on("of equal rows the first wins, in and across blocks", async () => {
      const others = 2600;
      const b = Float32Array.from({ length: others * 3 }, (_, i) => [0.1, 0.7, -0.3][i % 3]);
      for (const measure of measures) {
        const { index } = await bestMatches(Float32Array.of(1, 2, 3), b, 3, { top: 4, measure });
        expect(index).toEqual(Int32Array.of(0, 1, 2, 3));
      }
    });

    on("a row finds its own copy whatever the scale", async () => {
      const rng = createRng("scales");
      const a = Float32Array.from({ length: 50 * 8 }, () => rng.normal());
      const b = a.map((x, i) => x * 10 ** ((Math.floor(i / 8) % 60) - 30));
      const { index, value } = await bestMatches(a, b, 8);
      expect(index).toEqual(Int32Array.from({ length: 50 }, (_, i) => i));
      expect(value).toBeAllclose(Array(50).fill(1));
    });

    on("nothing to match, nothing matched", async () => {
      const none = new Float32Array(0);
      expect(await bestMatches(none, Float32Array.of(1), 1)).toEqual({
        index: new Int32Array(0),
        value: none,
      });
      const { index, value } = await bestMatches(Float32Array.of(1), none, 1);
      expect([index, value]).toEqual([Int32Array.of(-1), Float32Array.of(Number.NaN)]);
    });
  });
}

test("sizes that fit nothing are told by name", async () => {
  const x = new Float32Array(6);
  await expect(bestMatches(x, x, 4)).rejects.toMatchObject({ where: "bestMatches: a" });
  await expect(bestMatches(x, x, 0)).rejects.toMatchObject({ where: "bestMatches: width" });
  await expect(bestMatches(x, x, 3, { top: 0 })).rejects.toMatchObject({
    where: "bestMatches: top",
  });
  const measure = "euclid" as MatchMeasure;
  await expect(bestMatches(x, x, 3, { measure })).rejects.toMatchObject({
    where: "bestMatches: measure",
    expected: "dot, cosine, correlation",
  });
});
