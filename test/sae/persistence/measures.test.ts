// The small pieces: quantiles, histograms, false discovery rate, reappearance.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { benjaminiHochberg } from "../../../sae/persistence/benjamini-hochberg.ts";
import { reappearance } from "../../../sae/persistence/fresh.ts";
import { histogram, unitEdges } from "../../../sae/persistence/histogram.ts";
import { quantile } from "../../../sae/persistence/quantile.ts";
import { createRng } from "../../../src/engine/random.ts";

describe("quantile", () => {
  it("interpolates between order statistics, as numpy does", () => {
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
    expect(quantile([4, 1, 3, 2], 0.99)).toBeCloseTo(3.97, 12);
    expect(quantile([7], 0.2)).toBe(7);
    expect(quantile([], 0.5)).toBeNaN();
  });
});

describe("histogram", () => {
  it("counts half-open bins, the last one closed, and leaves out NaN and what is beyond", () => {
    expect(histogram([0, 0.5, 0.99, 1, 2, -1, Number.NaN], [0, 0.5, 1])).toEqual([1, 3]);
  });

  it("puts every value into the bin whose edges hold it", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -1, max: 1, noNaN: true })), (values) => {
        const counts = histogram([...values, ...unitEdges], unitEdges);
        const naive = unitEdges
          .slice(1)
          .map(
            (high, b) =>
              [...values, ...unitEdges].filter(
                (v) => v >= unitEdges[b] && (v < high || (b === 39 && v === high)),
              ).length,
          );
        expect(counts).toEqual(naive);
      }),
    );
  });
});

describe("benjaminiHochberg", () => {
  it("gives the q-values of a worked example", () => {
    // m = 5: p·m/rank = .05, .05, .05, .05, .5 → running minimum from the right.
    expect(benjaminiHochberg([0.01, 0.02, 0.03, 0.04, 0.5])).toBeAllclose(
      [0.05, 0.05, 0.05, 0.05, 0.5],
      { rtol: 1e-12 },
    );
    expect(benjaminiHochberg([0.5, 0.001])).toBeAllclose([0.5, 0.002], { rtol: 1e-12 });
  });

  it("leaves out what was not tested", () => {
    const q = benjaminiHochberg([Number.NaN, 0.02, Number.NaN, 0.03]);
    expect(q[0]).toBeNaN();
    expect([q[1], q[3]]).toBeAllclose([0.03, 0.03], { rtol: 1e-12 });
    expect(benjaminiHochberg([])).toHaveLength(0);
  });

  it("keeps the false discovery rate on mixtures of nulls and effects", () => {
    const rng = createRng(1);
    let called = 0;
    let wrong = 0;
    for (let run = 0; run < 40; run++) {
      const p = Array.from({ length: 200 }, (_, i) => (i < 50 ? rng.next() * 1e-3 : rng.next()));
      benjaminiHochberg(p).forEach((q, i) => {
        if (q > 0.05) return;
        called++;
        if (i >= 50) wrong++;
      });
    }
    expect(wrong / called).toBeLessThan(0.06);
    expect(called).toBeGreaterThanOrEqual(40 * 50);
  });
});

describe("reappearance", () => {
  it("is the share of seeds that found each latent, null without seeds", () => {
    expect([...reappearance([Uint8Array.of(1, 0), Uint8Array.of(1, 1)])!]).toEqual([1, 0.5]);
    expect(reappearance([])).toBeNull();
  });
});
