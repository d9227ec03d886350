import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { persistenceDefaults } from "../../../sae/persistence/input.ts";
import {
  type ChildEvidence,
  childVerdict,
  type LatentEvidence,
  parentVerdict,
  parentVerdicts,
  type VerdictRule,
} from "../../../sae/persistence/verdicts.ts";

const rule: VerdictRule = { ...persistenceDefaults, cosine: 0.75 };

const kept: LatentEvidence = {
  firings: 300,
  seedStable: null,
  child: 7,
  childFirings: 280,
  mutual: true,
  correlation: 0.9,
  correlationHigh: 0.93,
  correlationThreshold: 0.5,
  q: 0.003,
  containPc: 0.9,
  containCp: 0.85,
  cosine: 0.95,
  freshRate: 0.5,
  probe: null,
  split: null,
  merged: null,
};
const readable = { own: 0.5, other: 0.45, random: 0.2 };
const lost = { own: 0.5, other: 0.25, random: 0.2 };
const verdictOf = (change: Partial<LatentEvidence>): string =>
  parentVerdict({ ...kept, ...change }, rule).verdict;

describe("parentVerdict", () => {
  it("is persisted with match, function, direction and a witness, which it names", () => {
    expect(parentVerdict(kept, rule)).toEqual({
      verdict: "persisted",
      detail: "r 0.90 to child 7, cosine 0.95; found in 50% of the fresh child SAEs",
    });
    expect(parentVerdict({ ...kept, freshRate: 0, probe: readable }, rule).detail).toContain(
      "probe R² 0.45 in the child, 0.50 in the parent, 0.20 on random weights",
    );
  });

  it("is unknown for a latent that fires too rarely, however well it matches", () => {
    expect(verdictOf({ firings: 49 })).toBe("unknown");
    expect(verdictOf({ firings: 50 })).toBe("persisted");
  });

  it("is unknown for a latent that no fresh parent seed found", () => {
    expect(verdictOf({ seedStable: false })).toBe("unknown");
    expect(verdictOf({ seedStable: true })).toBe("persisted");
  });

  it("is carried_only without a witness outside the carried dictionary", () => {
    expect(verdictOf({ freshRate: 0.4 })).toBe("carried_only");
    expect(verdictOf({ freshRate: null })).toBe("carried_only");
    // Readable at all, but not .8 as well as from the parent.
    expect(verdictOf({ freshRate: 0, probe: { ...readable, other: 0.39 } })).toBe("carried_only");
    // As well as from the parent, but a random model is nearly as good.
    expect(verdictOf({ freshRate: 0, probe: { ...readable, random: 0.4 } })).toBe("carried_only");
    // Without the null a probe is no witness.
    expect(verdictOf({ freshRate: 0, probe: { ...readable, random: Number.NaN } })).toBe(
      "carried_only",
    );
  });

  it("is drifted_direction when the function stays and the direction goes", () => {
    expect(verdictOf({ cosine: 0.74 })).toBe("drifted_direction");
    expect(verdictOf({ cosine: -0.9 })).toBe("drifted_direction");
    expect(verdictOf({ cosine: Number.NaN })).toBe("drifted_direction");
  });

  it("is drifted_meaning when the direction stays and the correlation falls", () => {
    const changed = { correlation: 0.3, correlationHigh: 0.35, freshRate: 0 };
    expect(verdictOf(changed)).toBe("drifted_meaning");
    expect(verdictOf({ ...changed, mutual: false })).toBe("drifted_meaning");
    expect(verdictOf({ ...changed, childFirings: 49 })).toBe("died");
    expect(verdictOf({ ...changed, correlation: 0.19, correlationHigh: 0.25 })).toBe("died");
  });

  it("is uncertain when something correlates and no other verdict fits", () => {
    expect(verdictOf({ mutual: false })).toBe("uncertain");
    expect(verdictOf({ containPc: 0.69 })).toBe("uncertain");
    expect(verdictOf({ q: 0.06 })).toBe("uncertain");
    // Below τ, but the interval straddles it.
    expect(verdictOf({ correlation: 0.48, correlationHigh: 0.52, cosine: 0.1 })).toBe("uncertain");
  });

  it("is died when nothing is left, lost_by_sae when a probe still reads it", () => {
    const gone = {
      correlation: 0.1,
      correlationHigh: 0.15,
      cosine: 0.2,
      mutual: false,
      freshRate: 0,
    };
    expect(verdictOf(gone)).toBe("died");
    expect(verdictOf({ ...gone, probe: lost })).toBe("died");
    expect(verdictOf({ ...gone, probe: readable })).toBe("lost_by_sae");
    expect(verdictOf({ ...gone, freshRate: 0.4 })).toBe("died");
    expect(verdictOf({ ...gone, freshRate: 0.5 })).toBe("lost_by_sae");
    expect(
      parentVerdict(
        {
          ...kept,
          freshRate: null,
          child: -1,
          childFirings: 0,
          mutual: false,
          correlation: Number.NaN,
          cosine: null,
          correlationHigh: Number.NaN,
          containPc: Number.NaN,
          containCp: Number.NaN,
        },
        rule,
      ),
    ).toEqual({ verdict: "died", detail: "fires with no child latent; no probe was run" });
  });

  it("does not ask for direction without an expansion map", () => {
    expect(verdictOf({ cosine: null })).toBe("persisted");
    expect(verdictOf({ cosine: null, freshRate: 0, correlation: 0.3, correlationHigh: 0.35 })).toBe(
      "died",
    );
  });

  it("gives exactly one of the known verdicts to any evidence, never persisted to a weak one", () => {
    const number = fc.oneof(fc.double({ min: -1, max: 1 }), fc.constant(Number.NaN));
    fc.assert(
      fc.property(
        fc.record({
          firings: fc.nat(200),
          mutual: fc.boolean(),
          correlation: number,
          correlationHigh: number,
          q: number,
          containPc: number,
          containCp: number,
          cosine: fc.option(number),
          freshRate: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
          probe: fc.option(fc.record({ own: number, other: number, random: number })),
        }),
        (evidence) => {
          const { verdict, detail } = parentVerdict({ ...kept, ...evidence }, rule);
          expect(parentVerdicts).toContain(verdict);
          expect(detail).not.toBe("");
          if (verdict !== "persisted") return;
          expect(evidence.firings).toBeGreaterThanOrEqual(50);
          expect(evidence.correlation).toBeGreaterThanOrEqual(0.5);
          expect(evidence.mutual).toBe(true);
        },
      ),
    );
  });
});

describe("parentVerdict on latents in pieces", () => {
  const set = { members: [4, 9], r2: 0.9, gain: 0.3, coverage: 0.88 };
  const shown = { set, absorbed: false, q: 0.01, freshRate: null, seedRate: null, alone: true };
  // Too little of it in its best child, and no fresh SAE has it whole.
  const gone = { containPc: 0.5, correlation: 0.7, freshRate: 0 };
  const nothing = { ...shown, set: null, q: Number.NaN };

  it("is split where the carried SAE shows it and nothing speaks against it, with the figures in words", () => {
    expect(parentVerdict({ ...kept, ...gone, split: shown }, rule)).toEqual({
      verdict: "split",
      detail: "children 4, 9 cover 88% of its strong firings, R² 0.30 above the best one's",
    });
    expect(verdictOf({ ...gone, split: { ...shown, q: 0.06 } })).toBe("uncertain");
    expect(verdictOf({ split: shown })).toBe("persisted");
    expect(verdictOf({ split: shown, cosine: 0.1 })).toBe("split");
  });

  it("needs half of the fresh child SAEs where there are any, and none of it where fresh parents do it too", () => {
    expect(verdictOf({ ...gone, split: { ...shown, freshRate: 0.5 } })).toBe("split");
    expect(verdictOf({ ...gone, split: { ...shown, freshRate: 0.4 } })).toBe("uncertain");
    const inParents = { ...shown, freshRate: 1, seedRate: 0.5 };
    expect(verdictOf({ ...gone, split: inParents })).toBe("uncertain");
  });

  it("is split on the word of fresh SAEs alone where it stands, against a carried latent only if they don't have it whole", () => {
    const fresh = { ...nothing, freshRate: 1 };
    expect(verdictOf({ ...gone, split: { ...fresh, seedRate: 0 } })).toBe("split");
    expect(verdictOf({ ...gone, split: { ...fresh, seedRate: 0, alone: false } })).toBe(
      "uncertain",
    );
    // No fresh parent SAE to hold it against.
    expect(verdictOf({ ...gone, split: fresh })).toBe("uncertain");
    // The carried latent still does the work, and a probe reads the sum of the pieces.
    const inert = { freshRate: 0, probe: readable };
    expect(verdictOf({ ...inert, split: fresh })).toBe("persisted");
    expect(verdictOf({ ...inert, split: { ...fresh, seedRate: 0.4 } })).toBe("split");
    expect(verdictOf({ ...inert, split: { ...fresh, seedRate: 0.5 } })).toBe("persisted");
    expect(verdictOf({ ...inert, split: { ...fresh, seedRate: 0.4, alone: false } })).toBe(
      "persisted",
    );
    expect(verdictOf({ ...inert, probe: null, split: { ...fresh, seedRate: 0 } })).toBe("split");
    // Half of the fresh SAEs have it whole: that comes first, whatever the carried latent's direction.
    expect(
      verdictOf({ freshRate: 0.5, cosine: 0.4, split: { ...fresh, freshRate: 0.5, seedRate: 0 } }),
    ).toBe("drifted_direction");
    expect(verdictOf({ freshRate: 0.5, split: { ...fresh, freshRate: 0.5, seedRate: 0 } })).toBe(
      "persisted",
    );
  });

  it("is absorbed where its own heir is among the pieces, merged where it shares a child", () => {
    expect(verdictOf({ ...gone, split: { ...shown, absorbed: true } })).toBe("absorbed");
    const merged = { ...shown, child: 3 };
    expect(parentVerdict({ ...kept, ...gone, merged }, rule).detail).toBe(
      "parents 4, 9 share child 3: they cover 88% of its strong firings, R² 0.30 above the best one's",
    );
    expect(verdictOf({ ...gone, split: shown, merged })).toBe("split");
    const fresh = { ...nothing, child: -1, freshRate: 0.5, seedRate: 0 };
    expect(verdictOf({ ...gone, merged: fresh })).toBe("merged");
    expect(verdictOf({ ...gone, merged: { ...fresh, alone: false } })).toBe("uncertain");
  });
});

describe("childVerdict", () => {
  const stranger: ChildEvidence = {
    firings: 100,
    parent: 3,
    correlation: 0.1,
    correlationHigh: 0.15,
    correlationThreshold: 0.5,
    inherited: null,
    freshRate: null,
    probe: null,
  };
  const of = (change: Partial<ChildEvidence>): string =>
    childVerdict({ ...stranger, ...change }, rule).verdict;

  it("is born without an ancestor, uncovered when a probe reads it from the parent", () => {
    expect(of({})).toBe("born");
    expect(of({ parent: -1, correlation: Number.NaN, correlationHigh: Number.NaN })).toBe("born");
    expect(of({ probe: lost })).toBe("born");
    expect(of({ probe: readable })).toBe("uncovered");
  });

  it("is uncertain unless half the fresh child SAEs agree, where there are any", () => {
    expect(of({ freshRate: 0.5 })).toBe("born");
    expect(of({ freshRate: 0.4 })).toBe("uncertain");
    expect(of({ correlationHigh: 0.5 })).toBe("uncertain");
  });

  it("has the verdict of the parent latent it descends from", () => {
    expect(of({ inherited: "persisted" })).toBe("persisted");
    expect(of({ inherited: "drifted_meaning", correlation: 0.3 })).toBe("drifted_meaning");
    expect(of({ inherited: "died" })).toBe("born");
  });

  it("is related when its best parent latent has another match, unknown when it fires too rarely", () => {
    expect(of({ correlation: 0.6 })).toBe("related");
    expect(of({ firings: 49 })).toBe("unknown");
  });
});
