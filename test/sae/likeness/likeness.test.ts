// A model read with another's SAE: exact images, noise, and correlations by hand.
import { beforeAll, describe, expect, test } from "vitest";
import {
  likenessOfCodes,
  likenessReference,
  likenessTo,
  type ModelRows,
  readThroughFit,
  runsOf,
} from "../../../sae/likeness/index.ts";
import { type Sae, saeConfig } from "../../../sae/sae.ts";
import { createRng, useBackend } from "../../../src/engine/index.ts";
import { testBackend } from "../../support/backend.ts";
import { codesOf, column, naiveCorrelation, randomTable } from "../persistence/support.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const width = 5;
const latents = 7;
const sequence = 10;
const options = { sequenceLength: sequence, minFirings: 5, replicates: 40 };
const rng = () => createRng("likeness");

/** Latent i reads a random direction above a threshold. */
function randomSae(): Sae {
  const draw = createRng("likeness sae");
  const normal = (n: number): Float32Array => Float32Array.from({ length: n }, () => draw.normal());
  return {
    cfg: saeConfig({
      ...{ architecture: "batchtopk", d_in: width, d_sae: latents, k: 2, hook_name: "h" },
    }),
    W_enc: normal(width * latents),
    b_enc: new Float32Array(latents),
    W_dec: normal(latents * width),
    b_dec: normal(width),
    threshold: new Float32Array(latents).fill(1),
  };
}

function rowsOf(n: number, seed: string, d = width): ModelRows {
  const draw = createRng(seed);
  return { width: d, values: Float32Array.from({ length: n * d }, () => draw.normal()) };
}

/** A random affine image of rows, wider than they are. */
function image({ values, width: d }: ModelRows, D: number): ModelRows {
  const matrix = rowsOf(D, "image", d).values; // [D, d]
  const n = values.length / d;
  const out = new Float32Array(n * D);
  for (let t = 0; t < n; t++) {
    for (let a = 0; a < D; a++) {
      out[t * D + a] = 3 - a;
      for (let b = 0; b < d; b++) out[t * D + a] += matrix[a * d + b] * values[t * d + b];
    }
  }
  return { width: D, values: out };
}

describe("likenessTo", () => {
  test("of an affine image of the own activations, wider ones too, is 1, with an R² of 1", async () => {
    const rows = rowsOf(400, "rows");
    const reference = await likenessReference(randomSae(), rows, rng(), options);
    expect(reference.judged).toBe(latents);
    for (const other of [rows, image(rows, width), image(rows, 9)]) {
      const { mean, share, r2 } = await likenessTo(reference, other);
      expect(mean.value).toBeGreaterThan(0.99); // the ridge shrinks by a thousandth
      expect(share).toBe(1);
      expect(r2).toBeGreaterThan(0.9999);
      expect(Math.min(...mean.replicates)).toBeGreaterThan(0.98);
    }
  });

  test("of activations that have nothing to do with it is near 0: the map is read on rows it was not fitted on", async () => {
    const reference = await likenessReference(randomSae(), rowsOf(400, "rows"), rng(), options);
    // nearly as many dimensions as rows in a half: a map explains nearly all of what it is fitted on
    const { mean, r2 } = await likenessTo(reference, rowsOf(400, "others", 150));
    expect(Math.abs(mean.value)).toBeLessThan(0.15);
    expect(r2).toBeLessThan(0);
  });

  test("falls as a part of the reference is hidden", async () => {
    const rows = rowsOf(400, "rows");
    const reference = await likenessReference(randomSae(), rows, rng(), options);
    const likeness = async (kept: number): Promise<number> => {
      const values = rows.values.map((value, i) => (i % width < kept ? value : 0));
      return (await likenessTo(reference, { width, values })).mean.value;
    };
    const all = [await likeness(width), await likeness(3), await likeness(1)];
    expect(all).toEqual([...all].sort((a, b) => b - a));
  });
});

test("each half of the sequences is read through the map of the other", async () => {
  const runs = runsOf(40 * sequence, sequence);
  expect(runs.nBlocks).toBe(20);
  // the second half's rows are turned over: its map is fitted where signs are as they were, and the other way round
  const rows = rowsOf(40 * sequence, "rows");
  const values = rows.values.map((value, i) =>
    runs.blockOf[Math.floor(i / width)] % 2 === 0 ? value : -value,
  );
  const { r2 } = await readThroughFit(randomSae(), rows, { width, values }, runs);
  expect(r2).toBeCloseTo(-3, 1); // |x − (−x)|² over |x|² is 4
  const few = runsOf(sequence, sequence);
  await expect(readThroughFit(randomSae(), rows, rows, few)).rejects.toThrow("internal:");
});

describe("likenessOfCodes", () => {
  const table = randomTable("own codes", 300, latents, 0.3);
  const codes = codesOf(table);

  test("is the mean correlation over the latents that fire often enough; silent ones count 0, further ones nothing", async () => {
    const reference = {
      ...(await likenessReference(randomSae(), rowsOf(300, "rows"), rng(), options)),
    };
    const own = await sideOf(table);
    const other = randomTable("noise", 300, latents + 2, 0.3).map((row, t) =>
      row.map((x, j) => (j === 0 ? 2 * table[t][0] : j === 1 ? 0 : j < 4 ? x + table[t][j] : x)),
    );
    const expected = Array.from({ length: latents }, (_, j) => {
      const r = naiveCorrelation(column(table, j), column(other, j));
      return Number.isNaN(r) ? 0 : r;
    });
    expect(expected[0]).toBeCloseTo(1);
    const { mean, share } = await likenessOfCodes({ ...reference, ...own }, codesOf(other));
    expect(mean.value).toBeCloseTo(expected.reduce((a, b) => a + b) / latents, 5);
    expect(share).toBeCloseTo(expected.filter((r) => r >= 0.5).length / latents);
    const [low, high] = [Math.min(...mean.replicates), Math.max(...mean.replicates)];
    expect(low).toBeLessThan(mean.value);
    expect(high).toBeGreaterThan(mean.value);
  });

  test("a replicate that draws every sequence once, and every latent once, is the sample itself", async () => {
    const own = await sideOf(table);
    const { resampling } = own;
    const once = {
      ...resampling,
      replicates: 1,
      blockDraws: new Uint8Array(resampling.nBlocks).fill(1),
      groupDraws: new Uint8Array(resampling.groupSizes.length).fill(1),
    };
    const other = codesOf(randomTable("noise", 300, latents, 0.3));
    const { mean } = await likenessOfCodes({ ...own, resampling: once }, other);
    expect(mean.replicates[0]).toBeCloseTo(mean.value, 5);
    expect((await likenessOfCodes(own, codes)).mean.value).toBeCloseTo(1, 6);
  });

  test("sequences that lack a latent say nothing of it; those in which only the other model lacks it count 0", async () => {
    // latent i fires on the rows of sequence i and nowhere else
    const rare = Array.from({ length: 300 }, (_, t) =>
      Array.from({ length: latents }, (_, i) => (Math.floor(t / sequence) === i ? 1 + (t % 3) : 0)),
    );
    const own = await sideOf(rare);
    expect(own.judged).toBe(latents);
    const known = ({ mean }: Awaited<ReturnType<typeof likenessOfCodes>>): number[] =>
      [...mean.replicates].filter((value) => !Number.isNaN(value));
    const same = known(await likenessOfCodes(own, codesOf(rare)));
    expect(same.length).toBeGreaterThan(30);
    for (const value of same) expect(value).toBeCloseTo(1, 6);
    const silent = codesOf(rare.map((row) => row.map(() => 0)));
    expect(new Set(known(await likenessOfCodes(own, silent)))).toEqual(new Set([0]));
  });

  /** A reference whose own codes are a table's. */
  async function sideOf(of: readonly (readonly number[])[]) {
    const sae = randomSae();
    // an SAE that reads the table as it is
    const identity = {
      ...sae,
      cfg: saeConfig({ ...sae.cfg, d_in: latents, apply_b_dec_to_input: false }),
      W_enc: Float32Array.from({ length: latents ** 2 }, (_, i) =>
        i % (latents + 1) === 0 ? 1 : 0,
      ),
      threshold: new Float32Array(latents),
    };
    const rows = { width: latents, values: Float32Array.from(of.flat()) };
    return likenessReference(identity, rows, rng(), options);
  }
});

test("references that share draw the same sequences, and latents of their own", async () => {
  const rows = rowsOf(400, "rows");
  const first = await likenessReference(randomSae(), rows, rng(), options);
  const second = await likenessReference(randomSae(), rows, rng().fork("other"), options, first);
  expect(second.resampling.blockDraws).toEqual(first.resampling.blockDraws);
  expect(second.resampling.groupDraws).not.toEqual(first.resampling.groupDraws);
});
