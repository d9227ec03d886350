import { describe, expect, it } from "vitest";
import { withLevels } from "../../../sae/persistence/containment.ts";
import { firingsOf } from "../../../sae/persistence/firings.ts";
import { gainThreshold, partNull } from "../../../sae/persistence/part-null.ts";
import {
  type PartQuery,
  type PartRule,
  type PartSet,
  partFinder,
  partPool,
} from "../../../sae/persistence/part-search.ts";
import { createRng } from "../../../src/engine/random.ts";
import { codesOf, column, naiveCorrelation, randomTable } from "./support.ts";

const rule: PartRule = {
  minFirings: 1,
  containment: 0.7,
  coverage: 0.7,
  partShare: 0.1,
  mostParts: 4,
};

/** Searches for the parts of column 0 of `whole` among the columns of `pool`. */
function search(
  whole: readonly (readonly number[])[],
  pool: readonly (readonly number[])[],
  query: Partial<PartQuery> = {},
  change: Partial<PartRule> = {},
): PartSet | null {
  const firings = (table: readonly (readonly number[])[]) =>
    withLevels(firingsOf(codesOf(table), "table"));
  const find = partFinder(partPool(codesOf(pool), firings(pool)), { ...rule, ...change });
  return find({ whole: firings(whole), latent: 0, allowed: () => true, ...query });
}

/** Rows of a table: one column per list of tokens, active at 1. */
function at(tokens: number, ...lists: readonly (readonly number[])[]): number[][] {
  return Array.from({ length: tokens }, (_, t) => lists.map((list) => (list.includes(t) ? 1 : 0)));
}

describe("partFinder", () => {
  const whole = at(16, [0, 1, 2, 3, 4, 5, 6, 7]);

  it("finds two halves, by hand", () => {
    const set = search(whole, at(16, [0, 1, 2, 3], [4, 5, 6, 7], [12, 13]));
    // Each half alone has r² = 1/3 (x̄ = 1/2, ȳ = 1/4: (4/16 − 1/8)² / (1/4 · 3/16)); together R² = 1.
    expect(set).toEqual({
      members: [0, 1],
      r2: expect.closeTo(1, 9),
      gain: expect.closeTo(2 / 3, 9),
      coverage: 1,
    });
  });

  it("leaves out what lies outside the whole, what is not allowed and what fires too rarely", () => {
    const halves = [
      [0, 1, 2, 3],
      [4, 5, 6, 7],
    ] as const;
    const outside = [4, 5, 6, 7, 8, 9, 10];
    expect(search(whole, at(16, halves[0], outside))).toBeNull();
    expect(search(whole, at(16, ...halves), { allowed: (j) => j === 0 })).toBeNull();
    expect(search(whole, at(16, ...halves), {}, { minFirings: 5 })).toBeNull();
    expect(search(whole, at(16, [0, 1, 2], [3, 4]))).toBeNull(); // 5 of 8 covered
  });

  it("takes no more than four, and none that adds too little", () => {
    const parts = Array.from({ length: 6 }, (_, k) => [2 * k, 2 * k + 1]);
    const twelve = at(
      24,
      Array.from({ length: 12 }, (_, t) => t),
    );
    expect(search(twelve, at(24, ...parts))).toBeNull(); // 8 of 12 covered
    expect(search(twelve, at(24, ...parts), {}, { mostParts: 6 })!.members).toHaveLength(6);
    const nearly = search(whole, at(16, [0, 1, 2, 3], [4, 5, 6, 7], [3]), {}, {});
    expect(nearly!.members).toEqual([0, 1]);
  });

  it("holds the gain against the best latent of all, part or not", () => {
    const pool = at(16, [0, 1, 2, 3], [4, 5, 6, 7]);
    expect(search(whole, pool, { best: 0.95 })!.gain).toBeCloseTo(1 - 0.95 ** 2, 9);
  });

  it("starts from the part it is told to, and finds nothing where that is none", () => {
    const pool = at(16, [0, 1, 2], [3, 4, 5, 6, 7], [9, 10]);
    expect(search(whole, pool)!.members).toEqual([1, 0]);
    expect(search(whole, pool, { first: 0 })!.members).toEqual([0, 1]);
    expect(search(whole, pool, { first: 2 })).toBeNull();
  });

  it("has the R² of a dense fit with intercept, values and shift included", () => {
    const table = randomTable("parts", 300, 4, 0.06);
    const sum = table.map((row) => [2 * row[0] + row[1] + 0.5 * row[2]]);
    const shift = 17;
    const moved = sum.map((_, t) => sum[(t + shift) % sum.length]);
    const set = search(moved, table, { shift }, { partShare: 0 })!;
    expect([...set.members].sort()).toEqual([0, 1, 2]);
    expect(set.r2).toBeCloseTo(1, 6);
    const best = Math.max(
      ...[0, 1, 2, 3].map((j) => naiveCorrelation(column(sum, 0), column(table, j))),
    );
    expect(set.gain).toBeCloseTo(1 - best * best, 6);
    expect(search(moved, table, {}, { partShare: 0 })).toBeNull();
  });
});

describe("partNull", () => {
  const nullOf = (density: number, ofParts: number) => {
    const codes = (seed: string, rate: number) => codesOf(randomTable(seed, 400, 30, rate));
    const wholes = withLevels(firingsOf(codes("wholes", density), "wholes"));
    const parts = codes("parts", ofParts);
    const pool = partPool(parts, withLevels(firingsOf(parts, "parts")));
    const eligible = new Uint8Array(30).fill(1);
    return partNull(wholes, eligible, pool, rule, createRng(1), { draws: 40, sequenceLength: 10 });
  };

  it("never finds parts of sparse wholes by chance, so the floor governs", () => {
    const sparse = nullOf(0.1, 0.05);
    expect(sparse.bins.every(({ p99 }) => p99 === 0)).toBe(true);
    expect(gainThreshold(sparse, 40, 0.1)).toBe(0.1);
  });

  it("finds some of dense wholes, which contain anything", () => {
    const dense = nullOf(0.85, 0.4);
    expect(Math.max(...dense.bins.map(({ p99 }) => p99))).toBeGreaterThan(0);
  });

  it("gives the threshold of the bin that a latent's firings fall into", () => {
    const bin = (fewest: number, most: number, p99: number) => ({
      firings: [fewest, most] as const,
      latents: new Int32Array(0),
      maxima: new Float64Array(0),
      p99,
    });
    const nulls = { bins: [bin(50, 99, 0), bin(120, 500, 0.3)], binOf: new Int32Array(0) };
    expect([10, 60, 110, 120, 900].map((n) => gainThreshold(nulls, n, 0.1))).toEqual([
      0.1, 0.1, 0.1, 0.3, 0.3,
    ]);
    expect(gainThreshold({ ...nulls, bins: [] }, 60, 0.1)).toBe(0.1);
  });
});
