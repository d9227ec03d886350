import { describe, expect, it } from "vitest";
import {
  combine,
  interval,
  meanOverSeeds,
  pairReplicates,
  type Resampling,
  resample,
  sequenceBlocks,
  shareOf,
  standardError,
} from "../../../sae/persistence/bootstrap.ts";
import { pairOverlap, withLevels } from "../../../sae/persistence/containment.ts";
import { firingsOf } from "../../../sae/persistence/firings.ts";
import { createRng } from "../../../src/engine/random.ts";
import { codesOf, column, naiveCorrelation, randomTable } from "./support.ts";

const ones = (n: number): Float64Array => new Float64Array(n).fill(1);

describe("sequenceBlocks", () => {
  it("never cuts a sequence and makes blocks of near equal length", () => {
    const { blockOf, nBlocks } = sequenceBlocks(23, 4, 3);
    // 6 sequences, the last of 3 rows, two to a block.
    expect(nBlocks).toBe(3);
    expect([...blockOf]).toEqual([
      ...new Array(8).fill(0),
      ...new Array(8).fill(1),
      ...new Array(7).fill(2),
    ]);
  });

  it("has a block per sequence when there are few", () => {
    expect(sequenceBlocks(6, 3, 100).nBlocks).toBe(2);
    expect(sequenceBlocks(1, 3, 100).nBlocks).toBe(1);
  });

  it("never cuts sequences of unequal length either, and leaves no block empty", () => {
    const { blockOf, nBlocks } = sequenceBlocks(12, Int32Array.of(8, 1, 2, 1), 3);
    expect(nBlocks).toBe(2);
    expect([...blockOf]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1]);
    const even = sequenceBlocks(12, new Int32Array(6).fill(2), 3);
    expect(even.blockOf).toEqual(sequenceBlocks(12, 2, 3).blockOf);
  });
});

describe("resample", () => {
  it("draws as many blocks and groups as there are, the same for the same seed", () => {
    const draw = (): Resampling => resample(sequenceBlocks(40, 4, 100), ones(7), 25, createRng(1));
    const { blockDraws, groupDraws } = draw();
    for (let r = 0; r < 25; r++) {
      const sum = (values: Uint8Array): number => values.reduce((a, b) => a + b, 0);
      expect(sum(blockDraws.subarray(r * 10, r * 10 + 10))).toBe(10);
      expect(sum(groupDraws.subarray(r * 7, r * 7 + 7))).toBe(7);
    }
    expect(draw()).toEqual(draw());
  });
});

describe("pairReplicates", () => {
  it("gives what the measures give on the tokens of the drawn blocks", () => {
    const a = randomTable(1, 30, 1);
    const b = a.map(([x], t) => [t % 4 === 0 ? 0 : x]);
    const side = (table: number[][]) => withLevels(firingsOf(codesOf(table), "codes"));
    const [parent, child] = [side(a), side(b)];
    const resampling = resample(sequenceBlocks(30, 5, 100), ones(1), 20, createRng(2));
    const { correlation, containment } = pairReplicates(parent, 0, child, 0, resampling);
    for (let r = 0; r < 20; r++) {
      const drawn: number[] = [];
      for (let t = 0; t < 30; t++) {
        const times = resampling.blockDraws[r * 6 + resampling.blockOf[t]];
        for (let s = 0; s < times; s++) drawn.push(t);
      }
      const x = drawn.map((t) => column(a, 0)[t]);
      const y = drawn.map((t) => column(b, 0)[t]);
      expect(correlation[r]).toBeCloseTo(naiveCorrelation(x, y), 10);
      const strong = x.flatMap((value, s) => (value > parent.strongAbove[0] ? [s] : []));
      const kept = strong.filter((s) => y[s] > 0).length / strong.length;
      expect(containment[r]).toBeCloseTo(Math.min(kept, 1), 12); // the child fires only where the parent does
    }
  });

  it("with every block drawn once equals the full sample", () => {
    const a = randomTable(3, 24, 2);
    const firings = withLevels(firingsOf(codesOf(a), "codes"));
    const once: Resampling = {
      ...resample(sequenceBlocks(24, 6, 100), ones(1), 1, createRng(4)),
      blockDraws: Uint8Array.of(1, 1, 1, 1),
    };
    const { correlation, containment } = pairReplicates(firings, 0, firings, 1, once);
    const full = pairOverlap(firings, 0, firings, 1);
    expect(correlation[0]).toBeCloseTo(full.correlation, 12);
    expect(containment[0]).toBe(Math.min(full.containPc, full.containCp));
  });
});

describe("shareOf", () => {
  const resampling: Resampling = {
    replicates: 2,
    nBlocks: 1,
    blockOf: Int32Array.of(0),
    blockTokens: Float64Array.of(1),
    blockDraws: Uint8Array.of(1, 1),
    groupDraws: Uint8Array.of(1, 1, 1, 0, 2, 1),
    groupSizes: Float64Array.of(3, 1, 1),
  };

  it("counts every member of a group, by hand", () => {
    const share = shareOf(Uint8Array.of(1, 0, 1), Uint8Array.of(1, 1, 0, 0, 1, 0), resampling);
    expect(share.value).toBe(4 / 5);
    // Replicate 0 draws each once: groups 0 and 2 pass; replicate 1 draws group 1 twice, group 2 once: none passes.
    expect([...share.replicates]).toEqual([4 / 5, 0]);
  });

  it("can be restricted to some groups, and is NaN among none", () => {
    const passes = Uint8Array.of(1, 0, 1);
    const passesIn = Uint8Array.of(1, 1, 0, 0, 1, 1);
    expect(shareOf(passes, passesIn, resampling, Uint8Array.of(0, 1, 1)).value).toBe(1 / 2);
    expect(shareOf(passes, passesIn, resampling, new Uint8Array(3)).value).toBeNaN();
  });
});

describe("intervals", () => {
  it("of a share of independent latents cover about what the binomial says", () => {
    const n = 400;
    const rng = createRng(5);
    const passes = Uint8Array.from({ length: n }, () => (rng.next() < 0.3 ? 1 : 0));
    const resampling = resample(sequenceBlocks(n, 1, 50), ones(n), 800, createRng(6));
    const passesIn = Uint8Array.from({ length: n * 800 }, (_, at) => passes[Math.floor(at / 800)]);
    const share = shareOf(passes, passesIn, resampling);
    const binomial = Math.sqrt((share.value * (1 - share.value)) / n);
    expect(standardError(share)).toBeGreaterThan(0.85 * binomial);
    expect(standardError(share)).toBeLessThan(1.15 * binomial);
    const [low, high] = interval(share)!;
    expect(high - low).toBeCloseTo(2 * 1.96 * binomial, 1);
    expect(low).toBeLessThan(share.value);
    expect(high).toBeGreaterThan(share.value);
  });

  it("are null without a finite replicate", () => {
    expect(interval({ value: 1, replicates: Float64Array.of(Number.NaN) })).toBeNull();
  });
});

describe("meanOverSeeds and combine", () => {
  it("average seeds, drawing one fewer than there are in each replicate", () => {
    const seeds = [
      { value: 0.2, replicates: ones(300).map(() => 0) },
      { value: 0.4, replicates: ones(300) },
    ];
    const mean = meanOverSeeds(seeds, createRng(7));
    expect(mean.value).toBeCloseTo(0.3, 15);
    expect(new Set(mean.replicates)).toEqual(new Set([0, 1]));
  });

  it.each([[[0.2, 0.4]], [[0.1, 0.2, 0.6]], [[0.3, 0.1, 0.4, 0.1, 0.5]]])(
    "of seeds %j have the standard error of a mean, s over √n",
    (values) => {
      const n = values.length;
      const replicates = 20000;
      const seeds = values.map((value) => ({ value, replicates: ones(replicates).fill(value) }));
      const mean = values.reduce((sum, x) => sum + x, 0) / n;
      const s = Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (n - 1));
      const ratio = standardError(meanOverSeeds(seeds, createRng(8))) / (s / Math.sqrt(n));
      expect(ratio).toBeGreaterThan(0.98);
      expect(ratio).toBeLessThan(1.02);
    },
  );

  it("of one seed are its own, and noise that all seeds share is kept whole", () => {
    const noise = ones(50).map((_, r) => Math.sin(r));
    const seed = { value: 0, replicates: noise };
    expect(meanOverSeeds([seed], createRng(9))).toEqual(seed);
    const three = meanOverSeeds([seed, seed, seed], createRng(10));
    for (const [r, x] of three.replicates.entries()) expect(x).toBeCloseTo(noise[r], 12);
  });

  it("apply a formula replicate by replicate, so that shared noise cancels", () => {
    const a = { value: 3, replicates: Float64Array.of(1, 5) };
    const b = { value: 2, replicates: Float64Array.of(0, 4) };
    const difference = combine([a, b], (x, y) => x - y);
    expect(difference.value).toBe(1);
    expect([...difference.replicates]).toEqual([1, 1]);
    expect(standardError(difference)).toBe(0);
  });
});
