import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRng } from "../../../src/engine/index.ts";
import type { ParameterPlan } from "../../../src/expansion/index.ts";
import { FRESH, identityAxis } from "../../../src/expansion/plan/axis-map.ts";
import { perturbation } from "../../../src/expansion/plan/perturbation.ts";

const plan = (source: number[], columns: number, noise: ParameterPlan["noise"]): ParameterPlan => ({
  name: "w",
  from: "w",
  shape: [source.length, columns],
  axes: [{ source: Int32Array.from(source), weight: null }, identityAxis(columns)],
  scale: 1,
  fill: "parent-scale",
  noise,
});

describe("the noise that breaks symmetry", () => {
  it("sums to zero over the copies of each row and spares rows with one copy", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 2 }), (source) => {
        const parent = Float64Array.from({ length: 4 * 5 }, (_, i) => Math.sin(i + 1));
        const balanced = plan(source, 5, { snrDb: 10, balanced: true });
        const added = perturbation(balanced, parent, 5, createRng(1))!;
        for (const row of new Set(source)) {
          const copies = source.flatMap((from, i) => (from === row ? [i] : []));
          for (let column = 0; column < 5; column++) {
            const values = copies.map((i) => added[i * 5 + column]);
            expect(values.reduce((sum, value) => sum + value, 0)).toBeCloseTo(0, 12);
            expect(values.some((value) => value !== 0)).toBe(copies.length > 1);
          }
        }
      }),
    );
  });

  it.each([
    [[0, 1, 0, 1], 10],
    [[0, 1, 0, 1, 0, 1], 20],
  ])("has the signal-to-noise ratio it was asked for, copies %o", (source, snrDb) => {
    const columns = 4000;
    const parent = Float64Array.from({ length: 2 * columns }, (_, i) => Math.sin(i));
    const added = perturbation(
      plan(source, columns, { snrDb, balanced: true }),
      parent,
      columns,
      createRng(2),
    )!;
    const power = (values: Float64Array) =>
      values.reduce((sum, value) => sum + value ** 2, 0) / values.length;
    expect(10 * Math.log10(power(parent) / power(added))).toBeCloseTo(snrDb, 0);
  });

  it("draws fresh rows at the parent's scale", () => {
    const columns = 4000;
    const parent = Float64Array.from({ length: columns }, (_, i) => 0.02 * Math.sin(i));
    const added = perturbation(plan([0, FRESH], columns, null), parent, columns, createRng(3))!;
    const fresh = added.subarray(columns);
    const rms = Math.sqrt(fresh.reduce((sum, value) => sum + value ** 2, 0) / columns);
    expect(rms).toBeGreaterThan(0.0135);
    expect(rms).toBeLessThan(0.0148); // 0.02 / √2
    expect(added.subarray(0, columns).every((value) => value === 0)).toBe(true);
  });

  it("adds nothing where there is nothing to add", () => {
    expect(perturbation(plan([0, 1], 2, null), new Float64Array(4), 2, createRng(4))).toBeNull();
  });
});
