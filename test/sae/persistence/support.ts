// Dense tables to sparse codes and naive f64 references for the tests of persistence.
import fc from "fast-check";
import type { SparseCodes } from "../../../sae/sae.ts";
import { createRng } from "../../../src/engine/random.ts";

/** Sparse codes of a table [tokens][latents]; 0 = silent. */
export function codesOf(table: readonly (readonly number[])[]): SparseCodes {
  const rowStart = new Int32Array(table.length + 1);
  const latent: number[] = [];
  const value: number[] = [];
  table.forEach((row, t) => {
    row.forEach((x, j) => {
      if (x === 0) return;
      latent.push(j);
      value.push(x);
    });
    rowStart[t + 1] = latent.length;
  });
  return {
    nTokens: table.length,
    dSae: table[0].length,
    rowStart,
    latent: Int32Array.from(latent),
    value: Float32Array.from(value),
  };
}

/** The dense table of sparse codes, with the f32 values. */
export function tableOf({ nTokens, dSae, rowStart, latent, value }: SparseCodes): number[][] {
  return Array.from({ length: nTokens }, (_, t) => {
    const row = new Array<number>(dSae).fill(0);
    for (let p = rowStart[t]; p < rowStart[t + 1]; p++) row[latent[p]] = value[p];
    return row;
  });
}

/** Column j of a table. */
export function column(table: readonly (readonly number[])[], j: number): number[] {
  return table.map((row) => row[j]);
}

/** Pearson correlation in two passes over dense vectors; NaN where one is constant. */
export function naiveCorrelation(x: readonly number[], y: readonly number[]): number {
  const mean = (v: readonly number[]): number => v.reduce((a, b) => a + b, 0) / v.length;
  const [mx, my] = [mean(x), mean(y)];
  let sxy = 0;
  let sxx = 0;
  let syy = 0;
  for (let t = 0; t < x.length; t++) {
    sxy += (x[t] - mx) * (y[t] - my);
    sxx += (x[t] - mx) ** 2;
    syy += (y[t] - my) ** 2;
  }
  return sxx > 0 && syy > 0 ? sxy / Math.sqrt(sxx * syy) : Number.NaN;
}

/** A random sparse table: each entry fires with chance `density`. */
export function randomTable(
  seed: number | string,
  tokens: number,
  latents: number,
  density = 0.3,
): number[][] {
  const rng = createRng(seed);
  return Array.from({ length: tokens }, () =>
    Array.from({ length: latents }, () =>
      rng.next() < density ? Math.fround(0.1 + rng.next()) : 0,
    ),
  );
}

/** fast-check: a pair of tables on the same tokens. */
export const tablePair: fc.Arbitrary<[number[][], number[][]]> = fc
  .tuple(
    fc.integer(),
    fc.integer({ min: 2, max: 40 }),
    fc.integer({ min: 1, max: 6 }),
    fc.integer({ min: 1, max: 6 }),
  )
  .map(([seed, tokens, a, b]) => [
    randomTable(`${seed} a`, tokens, a),
    randomTable(`${seed} b`, tokens, b),
  ]);
