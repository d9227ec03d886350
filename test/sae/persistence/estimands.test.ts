import { describe, expect, it } from "vitest";
import type { Sample } from "../../../sae/persistence/bootstrap.ts";
import {
  type CellName,
  type CellSample,
  cellNames,
  estimands,
} from "../../../sae/persistence/estimands.ts";
import { createRng } from "../../../src/engine/random.ts";

/** A cell of that value with normal replicates of that spread. */
function cell(value: number, spread = 0.01): CellSample {
  const rng = createRng(`${value}`);
  const sample: Sample = {
    value,
    replicates: Float64Array.from({ length: 400 }, () => value + spread * rng.normal()),
  };
  return { function: sample, match: sample };
}

type Cells = Record<CellName, CellSample | null>;

// The pilot of methods.md §5.
const pilot: Cells = {
  CG: cell(0.58),
  FG: cell(0.26),
  CS: cell(0.2),
  FS: cell(0.205),
  CP: cell(0.77),
  FP: cell(0.28),
};
const nothing: Cells = Object.fromEntries(cellNames.map((name) => [name, null])) as Cells;

describe("estimands", () => {
  it("reproduce the pilot's figures", () => {
    const { corrected, inheritance, carry_bonus, warnings } = estimands(pilot, true);
    expect(corrected.value).toBeCloseTo(0.38 / 0.57, 12);
    expect(inheritance.value).toBeCloseTo(0.055, 12);
    expect(inheritance.of_findable).toBeCloseTo(0.055 / 0.075, 12);
    expect(carry_bonus.value).toBeCloseTo(0.38 - 0.055, 12);
    expect(warnings).toEqual([]);
    for (const { value, ci } of [corrected, inheritance, carry_bonus]) {
      expect(ci![0]).toBeLessThan(value!);
      expect(ci![1]).toBeGreaterThan(value!);
    }
  });

  it("report no ratio whose denominator is below 3 standard errors, and say so", () => {
    const { inheritance, corrected, warnings } = estimands(
      { ...pilot, FP: cell(0.23, 0.02) },
      true,
    );
    expect(inheritance.value).toBeCloseTo(0.055, 12);
    expect(inheritance.of_findable).toBeNull();
    expect(corrected.value).not.toBeNull();
    expect(warnings).toEqual([expect.stringContaining("(FG − FS) / (FP − FS) is not reported")]);
  });

  it("report no ratio over a ceiling that is below its floor", () => {
    expect(estimands({ ...pilot, CP: cell(0.1) }, true).corrected).toEqual({
      value: null,
      ci: null,
    });
  });

  it("clip nothing", () => {
    expect(estimands({ ...pilot, CG: cell(0.9) }, true).corrected.value).toBeGreaterThan(1);
    expect(estimands({ ...pilot, CG: cell(0.1) }, true).corrected.value).toBeLessThan(0);
  });

  it("are null where this stage lacks a cell", () => {
    const { corrected, inheritance, carry_bonus, warnings } = estimands(
      { ...pilot, CS: null, FS: null },
      true,
    );
    expect(corrected.value).toBeNull();
    expect(inheritance).toEqual({ value: null, ci: null, of_findable: null });
    expect(carry_bonus.value).toBeNull();
    expect(warnings).toEqual([]);
    expect(estimands(nothing, true).corrected.ci).toBeNull();
  });

  it("have no interval and no ratio when there is only one block of text", () => {
    const { corrected, inheritance } = estimands(pilot, false);
    expect(corrected.value).toBeNull();
    expect(inheritance.value).toBeCloseTo(0.055, 12);
    expect(inheritance.ci).toBeNull();
  });
});
