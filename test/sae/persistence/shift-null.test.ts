import { describe, expect, it } from "vitest";
import { correlationMatches } from "../../../sae/persistence/correlation.ts";
import { firingsOf } from "../../../sae/persistence/firings.ts";
import { type ShiftNull, shiftNull, shiftPValue } from "../../../sae/persistence/shift-null.ts";
import { createRng } from "../../../src/engine/random.ts";
import { codesOf, column, naiveCorrelation, randomTable } from "./support.ts";

function nullOf(
  a: number[][],
  b: number[][],
  options: { draws: number; sequenceLength: number; leastLatents?: number },
): ShiftNull {
  const codes = codesOf(b);
  const eligible = Uint8Array.from(a[0], () => 1);
  return shiftNull(
    firingsOf(codesOf(a), "a"),
    firingsOf(codes, "b"),
    codes,
    eligible,
    createRng(1),
    options,
  );
}

describe("shiftNull", () => {
  it("holds only correlations that some circular shift far enough from the alignment gives", () => {
    const a = randomTable(1, 20, 1);
    const b = randomTable(2, 20, 3);
    const possible = new Set<string>();
    for (let shift = 6; shift <= 14; shift++) {
      const moved = a.map((_, t) => a[(t + 20 - shift) % 20][0]);
      const best = Math.max(0, ...[0, 1, 2].map((j) => naiveCorrelation(moved, column(b, j))));
      possible.add(best.toFixed(9));
    }
    const { bins } = nullOf(a, b, { draws: 200, sequenceLength: 6 });
    expect(bins).toHaveLength(1);
    const drawn = new Set(Array.from(bins[0].maxima, (r) => r.toFixed(9)));
    for (const r of drawn) expect(possible).toContain(r);
    // 200 draws among 9 shifts miss one with chance 9·(8/9)^200 ≈ 5e−10.
    expect(drawn.size).toBe(possible.size);
  });

  it("is far below a real match on data of some length", () => {
    const a = randomTable(3, 4000, 10, 0.05);
    const { bins, binOf } = nullOf(a, a, { draws: 100, sequenceLength: 50 });
    expect(bins[0].p99).toBeLessThan(0.15);
    expect(bins[0].maxima).toHaveLength(100);
    expect([...binOf]).toEqual(new Array(10).fill(0));
  });

  it("pools by octaves of firing frequency and joins small bins", () => {
    const rng = createRng(4);
    const rates = [...new Array(6).fill(0.02), ...new Array(6).fill(0.2), 0.6];
    const table = Array.from({ length: 1000 }, () =>
      rates.map((rate) => (rng.next() < rate ? 1 + rng.next() : 0)),
    );
    const { bins, binOf } = nullOf(table, table, {
      draws: 20,
      sequenceLength: 10,
      leastLatents: 4,
    });
    expect(bins.length).toBeGreaterThan(1);
    expect(bins.reduce((sum, { latents }) => sum + latents.length, 0)).toBe(13);
    for (const { latents } of bins) expect(latents.length).toBeGreaterThanOrEqual(4);
    expect(binOf[12]).toBe(bins.length - 1);
    expect(bins[0].firings[1]).toBeLessThan(bins[bins.length - 1].firings[0]);
  });

  it("works on a stream too short for a whole sequence of distance", () => {
    const table = [[1], [0], [2]];
    const { bins } = nullOf(table, table, { draws: 5, sequenceLength: 100 });
    // Shifts of 1 and 2 only: never the alignment, whose correlation is 1.
    for (const r of bins[0].maxima) expect(r).toBeLessThan(0.99);
  });

  it("draws the same numbers for the same seed", () => {
    const table = randomTable(5, 100, 4);
    const options = { draws: 30, sequenceLength: 10 };
    expect(nullOf(table, table, options)).toEqual(nullOf(table, table, options));
  });
});

describe("shiftPValue", () => {
  it("counts how often the null reaches the observed correlation, plus one", () => {
    const maxima = Float64Array.of(0.1, 0.2, 0.2, 0.4);
    const shifts: ShiftNull = {
      bins: [{ firings: [1, 1], latents: Int32Array.of(0), maxima, p99: 0.4 }],
      binOf: Int32Array.of(0, -1),
    };
    expect(shiftPValue(shifts, 0, 0.5)).toBe(1 / 5);
    expect(shiftPValue(shifts, 0, 0.4)).toBe(2 / 5);
    expect(shiftPValue(shifts, 0, 0.2)).toBe(4 / 5);
    expect(shiftPValue(shifts, 0, 0)).toBe(1);
    expect(shiftPValue(shifts, 0, Number.NaN)).toBe(1);
    expect(shiftPValue(shifts, 1, 0.5)).toBeNaN();
  });

  it("is about uniform when the two dictionaries share nothing", () => {
    const a = randomTable("left", 1500, 60, 0.1);
    const b = randomTable("right", 1500, 20, 0.1);
    const shifts = nullOf(a, b, { draws: 300, sequenceLength: 20 });
    const codes = codesOf(b);
    const { correlation } = correlationMatches(
      firingsOf(codesOf(a), "a"),
      firingsOf(codes, "b"),
      codes,
    );
    const p = Array.from(correlation, (r, i) => shiftPValue(shifts, i, r));
    const mean = p.reduce((sum, value) => sum + value / p.length, 0);
    expect(mean).toBeGreaterThan(0.35);
    expect(mean).toBeLessThan(0.65);
    expect(p.filter((value) => value < 0.05).length).toBeLessThan(12);
  });
});
