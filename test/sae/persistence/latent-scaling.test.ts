import { describe, expect, it } from "vitest";
import {
  childScaling,
  scalingRatio,
  scalingSlopes,
} from "../../../sae/persistence/latent-scaling.ts";
import { probeSums } from "../../../sae/persistence/probe.ts";
import { codesOf, column, randomTable } from "./support.ts";

const sumsOf = (rows: readonly (readonly number[])[], table: readonly (readonly number[])[]) =>
  probeSums(
    { dIn: rows[0].length, blocks: [Float32Array.from(rows.flat())] },
    [codesOf(table)],
    Uint8Array.from(rows, (_, t) => t % 2),
    "rows",
  );

describe("scalingSlopes", () => {
  it("is how much of the direction an activation of 1 comes with, by hand", async () => {
    // x = 3a along [1, 0], with an offset and an unrelated second coordinate
    const table = [[0], [2], [0], [1]];
    const rows = [
      [5, 1],
      [11, -1],
      [5, -1],
      [8, 1],
    ];
    const frame = { readout: Float32Array.of(1, 0), direction: Float32Array.of(1, 0) };
    expect(scalingSlopes(await sumsOf(rows, table), 0, frame)[0]).toBeCloseTo(3, 10);
    const twice = { readout: Float32Array.of(2, 0), direction: Float32Array.of(2, 0) };
    expect(scalingSlopes(await sumsOf(rows, table), 0, twice)[0]).toBeCloseTo(1.5, 10);
  });

  it("is the regression slope of the readout, as dense sums give it", async () => {
    const table = randomTable("codes", 200, 3, 0.3);
    const rows = randomTable("activations", 200, 4, 1);
    const readout = Float32Array.from({ length: 12 }, (_, s) => Math.sin(s + 1));
    const direction = Float32Array.from({ length: 12 }, (_, s) => Math.cos(s));
    const slopes = scalingSlopes(await sumsOf(rows, table), 0, { readout, direction });
    for (let i = 0; i < 3; i++) {
      const v = readout.subarray(4 * i, 4 * i + 4);
      const y = rows.map((row) => row.reduce((sum, x, a) => sum + v[a] * Math.fround(x), 0));
      const a = column(table, i);
      const mean = (xs: number[]): number => xs.reduce((s, x) => s + x, 0) / xs.length;
      const [my, ma] = [mean(y), mean(a)];
      const cov = a.reduce((sum, x, t) => sum + (x - ma) * (y[t] - my), 0);
      const varied = a.reduce((sum, x) => sum + (x - ma) ** 2, 0);
      const along = v.reduce((sum, x, s) => sum + x * direction[4 * i + s], 0);
      expect(slopes[i]).toBeCloseTo(cov / (varied * along), 8);
    }
  });

  it("is not measured where a latent is silent or the readout misses the direction", async () => {
    const sums = await sumsOf(
      [
        [1, 2],
        [3, 4],
      ],
      [
        [0, 1],
        [0, 2],
      ],
    );
    const slopes = scalingSlopes(sums, 0, {
      readout: Float32Array.of(1, 0, 1, 0),
      direction: Float32Array.of(1, 0, 0, 1),
    });
    expect([...slopes]).toEqual([Number.NaN, Number.NaN]);
  });
});

describe("scalingRatio", () => {
  it("is 1 right after an exact expansion, whatever the map does to lengths and angles", async () => {
    // E = [I; rows of 1/3]: not a similarity, R = [I, 0] its left inverse
    const table = randomTable("codes", 120, 2, 0.3);
    const W_dec = Float32Array.of(1, 2, -1, 0.5, 0, 2);
    const noise = randomTable("activations", 120, 3, 1);
    const rows = noise.map((row, t) =>
      row.map((x, a) => 0.2 * x + table[t][0] * W_dec[a] + table[t][1] * W_dec[3 + a]),
    );
    const grown = rows.map((row) => [...row, row.reduce((sum, x) => sum + x / 3, 0)]);
    const extend = (vectors: Float32Array, last: (v: Float32Array) => number): Float32Array =>
      Float32Array.from(
        [0, 1].flatMap((i) => {
          const v = vectors.subarray(3 * i, 3 * i + 3);
          return [...v, last(v)];
        }),
      );
    const frame = {
      decoder: (v: Float32Array) => extend(v, (w) => (w[0] + w[1] + w[2]) / 3),
      encoder: (v: Float32Array) => extend(v, () => 0),
    };
    const parent = scalingSlopes(await sumsOf(rows, table), 0, {
      readout: W_dec,
      direction: W_dec,
    });
    const child = scalingSlopes(await sumsOf(grown, table), 0, childScaling(W_dec, frame));
    for (const ratio of scalingRatio(child, parent)) expect(ratio).toBeCloseTo(1, 6);
  });

  it("is not measured where the parent itself hardly writes the latent", () => {
    expect([...scalingRatio(Float64Array.of(1, 1, 3), Float64Array.of(0, -1, 2))]).toEqual([
      Number.NaN,
      Number.NaN,
      1.5,
    ]);
  });
});
