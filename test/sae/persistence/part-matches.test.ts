import { describe, expect, it } from "vitest";
import {
  type FunctionMatches,
  functionMatches,
  prepareSide,
  type Side,
} from "../../../sae/persistence/function-matches.ts";
import {
  mergeRate,
  mostlyAbsorbed,
  type PartContext,
  type PartMatches,
  partMatches,
  splitRate,
} from "../../../sae/persistence/part-matches.ts";
import { partPool } from "../../../sae/persistence/part-search.ts";
import { codesOf } from "./support.ts";

const tokens = 60;
const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, k) => from + k);

/** One latent for each list of tokens, active at 1. */
function side(...lists: readonly (readonly number[])[]): Side {
  const table = Array.from({ length: tokens }, (_, t) =>
    lists.map((list) => (list.includes(t) ? 1 : 0)),
  );
  return prepareSide(codesOf(table), "side", 2, 0.95);
}

const noNull = { bins: [], binOf: new Int32Array(0) };

/** Searches `child` for the parent's latents; `cosines[i][j]`, 1 where not given. */
function search(
  parent: Side,
  child: Side,
  cosines: Readonly<Record<number, Readonly<Record<number, number>>>> = {},
): PartMatches & { readonly matches: FunctionMatches } {
  const tau = new Float64Array(parent.firings.nLatents).fill(0.5);
  const context: PartContext = {
    parent,
    parentPool: partPool(parent.codes, parent.firings),
    rule: { minFirings: 2, containment: 0.7, coverage: 0.7, partShare: 0.1, mostParts: 4 },
    nulls: { split: noNull, merged: noNull },
    gainFloor: 0.1,
    tau,
    cosine: 0.7,
  };
  const matches = functionMatches(parent, child.codes, child.firings, tau, 0.7);
  return {
    ...partMatches(context, matches, child, (i, j) => cosines[i]?.[j] ?? 1),
    matches,
  };
}

describe("partMatches", () => {
  it("sees a latent in two halves, and two latents in one", () => {
    const whole = range(0, 16);
    const halves = [range(0, 8), range(8, 16)];
    const { split, merged } = search(side(whole), side(...halves, range(30, 36)));
    expect(split[0]).toMatchObject({ members: [0, 1], absorbed: false, coverage: 1 });
    expect(merged).toEqual([null]);
    const back = search(side(...halves, range(30, 36)), side(whole));
    expect(back.split).toEqual([null, null, null]);
    expect(back.merged[0]).toMatchObject({ child: 0, members: [0, 1], partners: [1] });
    expect(back.merged[1]).toMatchObject({ child: 0, partners: [0] });
    expect(back.merged[2]).toBeNull();
  });

  it("does not call it a split where a general latent died and the specific ones inside it live on", () => {
    const specific = [range(0, 8), range(8, 16)];
    const { split, matches } = search(side(range(0, 16), ...specific), side(...specific));
    expect([...matches.found]).toEqual([0, 1, 1]);
    expect(split).toEqual([null, null, null]);
  });

  it("does not call it a merge where the latents inside a new general one live on beside it", () => {
    const specific = [range(0, 8), range(8, 16)];
    const { merged } = search(side(...specific), side(...specific, range(0, 16)));
    expect(merged).toEqual([null, null]);
  });

  it("is absorbed where the heir keeps the direction and the others don't, whoever's heirs they are", () => {
    const parent = side(range(0, 20), range(12, 20));
    const child = side(range(0, 12), range(12, 20));
    const keeps = { 0: { 0: 0.95, 1: 0.5 } };
    expect(search(parent, child, keeps).split[0]).toMatchObject({
      members: [0, 1],
      absorbed: true,
    });
    // Without the heir's direction the other latent, an heir of parent 1, is no piece of parent 0.
    expect(search(parent, child, { 0: { 0: 0.5, 1: 0.5 } }).split[0]).toBeNull();
    const alone = side(range(0, 20));
    expect(search(alone, child, keeps).split[0]?.absorbed).toBe(true);
    expect(search(alone, child, { 0: { 0: 0.95, 1: 0.9 } }).split[0]?.absorbed).toBe(false);
    expect(search(alone, child, { 0: { 0: 0.5, 1: 0.5 } }).split[0]?.absorbed).toBe(false);
  });
});

describe("splitRate and mergeRate", () => {
  const halves = [range(0, 8), range(8, 16)];
  const arm = (parent: Side, child: Side) => {
    const { split, merged, matches } = search(parent, child);
    return { parts: { split, merged }, matches };
  };

  it("count the arms that have a latent in pieces, and not those that have it whole", () => {
    const parent = side(range(0, 16));
    const rate = splitRate([arm(parent, side(...halves)), arm(parent, side(range(0, 16)))]);
    expect([...rate!]).toEqual([0.5]);
    expect(splitRate([])).toBeNull();
  });

  it("take a latent in pieces for absorbed where most arms do", () => {
    const parent = side(range(0, 20));
    const pieces = side(range(0, 12), range(12, 20));
    const of = (cosines: Record<number, Record<number, number>>) => {
      const { split, merged, matches } = search(parent, pieces, cosines);
      return { parts: { split, merged }, matches };
    };
    const [absorbed, halved] = [of({ 0: { 1: 0.5 } }), of({})];
    expect([...mostlyAbsorbed([absorbed, absorbed, halved], 1)]).toEqual([1]);
    expect([...mostlyAbsorbed([absorbed, halved], 1)]).toEqual([0]);
    expect([...mostlyAbsorbed([], 1)]).toEqual([0]);
  });

  it("count the arms that merge a latent with the same partner", () => {
    const parent = side(...halves, range(20, 28));
    const first = arm(parent, side([...halves[0], ...halves[1]], range(20, 28)));
    const other = arm(parent, side([...halves[0], ...range(20, 28)], halves[1]));
    expect([...mergeRate([first, first, other], first.parts.merged)!]).toEqual([
      expect.closeTo(2 / 3, 12),
      expect.closeTo(2 / 3, 12),
      expect.closeTo(1 / 3, 12),
    ]);
    expect(mergeRate([], first.parts.merged)).toBeNull();
  });
});
