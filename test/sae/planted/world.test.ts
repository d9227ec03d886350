import { describe, expect, it } from "vitest";
import {
  activationRows,
  drawFirings,
  featureCodes,
  mapRows,
  widthOf,
} from "../../../sae/planted/firings.ts";
import { type PlantedWorld, parentKinds, plantWorld } from "../../../sae/planted/world.ts";
import { createRng } from "../../../src/engine/random.ts";
import { column, tableOf } from "../persistence/support.ts";

const world = plantWorld(createRng("world"), { d: 24 });

function cosineTo(w: PlantedWorld, p: number, c: number): number {
  const mapped = mapRows(w, w.parentDirections.subarray(p * w.d, (p + 1) * w.d));
  const child = w.childDirections.subarray(c * w.D, (c + 1) * w.D);
  return mapped.reduce((sum, x, a) => sum + x * child[a], 0);
}

describe("plantWorld", () => {
  it("plants every kind, in the numbers asked for", () => {
    for (const kind of parentKinds) {
      const planted = world.parent.filter((feature) => feature.kind === kind).length;
      expect(planted, kind).toBe(world.options.counts[kind] * (kind === "merged" ? 2 : 1));
    }
    expect(world.child.filter(({ kind }) => kind === "born")).toHaveLength(
      world.options.counts.born,
    );
  });

  it("gives the same world for the same seed and another one for another", () => {
    expect(plantWorld(createRng("world"), { d: 24 })).toEqual(world);
    const other = plantWorld(createRng("other"), { d: 24 });
    expect(other.parentDirections).not.toEqual(world.parentDirections);
  });

  it("maps by an isometry", () => {
    const { E, d, D } = world;
    for (let a = 0; a < d; a++) {
      for (let b = 0; b <= a; b++) {
        let dot = 0;
        for (let r = 0; r < D; r++) dot += E[r * d + a] * E[r * d + b];
        expect(dot).toBeCloseTo(a === b ? 1 : 0, 12);
      }
    }
  });

  it("turns features by the angles it says", () => {
    const turned = world.parent.flatMap((feature, p) =>
      feature.kind === "merged" || feature.relatives.length === 0 ? [] : [p],
    );
    expect(turned.length).toBeGreaterThan(20);
    for (const p of turned) {
      const { angle, relatives } = world.parent[p];
      expect(cosineTo(world, p, relatives[0])).toBeCloseTo(Math.cos((angle * Math.PI) / 180), 5);
    }
  });

  it("names relatives that name each other", () => {
    for (const [p, { relatives }] of world.parent.entries()) {
      for (const c of relatives) expect(world.child[c].relatives).toContain(p);
    }
    const heirs = world.child.filter(({ kind }) => kind !== "born");
    for (const { relatives } of heirs) expect(relatives.length).toBeGreaterThan(0);
  });
});

describe("firings of a planted world", () => {
  const firings = drawFirings(world, 4000, createRng("firings"));
  const parent = tableOf(featureCodes(world.parent, firings));
  const child = tableOf(featureCodes(world.child, firings));

  it("parts of a feature that split fire in turns and add up to it, as sources of one that merged do", () => {
    for (const [p, { kind, relatives }] of world.parent.entries()) {
      if (kind !== "split" && kind !== "absorbed") continue;
      const parts = relatives.map((c) => column(child, c));
      const whole = column(parent, p);
      expect(whole.map((_, t) => parts.filter((part) => part[t] > 0).length)).toEqual(
        whole.map((x) => (x > 0 ? 1 : 0)),
      );
      expect(whole.map((_, t) => parts.reduce((sum, part) => sum + part[t], 0))).toEqual(whole);
    }
    for (const [c, { kind, relatives }] of world.child.entries()) {
      if (kind !== "merged") continue;
      const [a, b] = relatives.map((p) => column(parent, p));
      expect(relatives).toHaveLength(2);
      expect(column(child, c)).toBeAllclose(
        a.map((x, t) => x + b[t]),
        { rtol: 1e-6, atol: 1e-6 },
      );
    }
  });

  it("a feature whose meaning drifted shares about a third of its firings", () => {
    const p = world.parent.findIndex(({ kind }) => kind === "drifted_meaning");
    const [x, y] = [column(parent, p), column(child, world.parent[p].relatives[0])];
    const fires = x.filter((value) => value > 0).length;
    const shared = x.filter((value, t) => value > 0 && y[t] > 0).length;
    expect(Math.abs(shared / fires - 0.35)).toBeLessThan(4 * Math.sqrt((0.35 * 0.65) / fires));
  });

  it("sources fire at their rates, correlated or not, and nested ones only within others", () => {
    const made = plantWorld(createRng(2), { d: 24, correlation: 0.4, hierarchical: 0.5 });
    const n = 8000;
    const { rowStart, source } = drawFirings(made, n, createRng("firings"));
    const fired = made.sources.map(() => new Uint8Array(n));
    for (let t = 0; t < n; t++) {
      for (let p = rowStart[t]; p < rowStart[t + 1]; p++) fired[source[p]][t] = 1;
    }
    const sum = (values: Uint8Array): number => values.reduce((a, b) => a + b, 0);
    const nested = made.sources.filter(({ within }) => within >= 0);
    expect(nested.length).toBeGreaterThan(2);
    for (const [s, { rate, within }] of made.sources.entries()) {
      if (within >= 0) {
        expect(fired[s].some((x, t) => x > 0 && fired[within][t] === 0)).toBe(false);
      } else {
        expect(Math.abs(sum(fired[s]) / n - rate)).toBeLessThan(5 * Math.sqrt(rate / n));
      }
    }
  });

  it("activations are what fires times its directions around the offset, and right after growth E h", () => {
    const quiet = { ...world, options: { ...world.options, noise: 0 } };
    const few = drawFirings(world, 5, createRng("few"));
    const rows = activationRows(quiet, "parent", few, createRng("noise"));
    const codes = tableOf(featureCodes(world.parent, few));
    for (let t = 0; t < 5; t++) {
      for (let a = 0; a < world.d; a++) {
        const want = codes[t].reduce(
          (sum, x, f) => sum + x * world.parentDirections[f * world.d + a],
          world.parentOffset[a],
        );
        expect(rows[t * world.d + a]).toBeCloseTo(want, 5);
      }
    }
    expect(activationRows(quiet, "grown", few, createRng("noise"))).toEqual(mapRows(world, rows));
    expect(widthOf(world, "random")).toBe(world.D);
  });
});
