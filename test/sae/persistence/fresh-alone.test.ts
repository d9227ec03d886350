import { describe, expect, it } from "vitest";
import {
  type FreshAlone,
  freshAlone,
  type Mirrored,
} from "../../../sae/persistence/fresh-alone.ts";
import {
  type ArmInput,
  type ArmRole,
  comparePersistence,
  type Dictionary,
  identityFrame,
  persistenceDefaults,
} from "../../../sae/persistence/index.ts";
import type { LatentEvidence, PartsEvidence } from "../../../sae/persistence/verdicts.ts";
import { createRng, type Rng } from "../../../src/engine/random.ts";
import { codesOf, randomTable } from "./support.ts";

const rule = { ...persistenceDefaults, cosine: 0.75 };
const falseShare = 0.2;

/** How a fresh SAE has a latent. */
type Cut = "whole" | "pieces" | "none";
interface Seeds {
  readonly child: readonly Cut[];
  readonly parent: readonly Cut[] | null;
}

const rateOf = (cuts: readonly Cut[], cut: Cut): number =>
  cuts.filter((one) => one === cut).length / cuts.length;

/** A latent that the carried SAE kept, and what fresh ones make of it. */
function latent({ child, parent }: Seeds, change: Partial<LatentEvidence> = {}): Mirrored {
  const parts: PartsEvidence = {
    set: null,
    q: Number.NaN,
    freshRate: rateOf(child, "pieces"),
    seedRate: parent && rateOf(parent, "pieces"),
    alone: true,
  };
  return {
    parentSeedRate: parent && rateOf(parent, "whole"),
    evidence: {
      ...{ firings: 300, seedStable: null, child: 7, childFirings: 280, mutual: true },
      ...{ correlation: 0.9, correlationHigh: 0.93, correlationThreshold: 0.5, q: 0.003 },
      ...{ containPc: 0.9, containCp: 0.85, cosine: 0.95, probe: null },
      freshRate: rateOf(child, "whole"),
      split: { ...parts, absorbed: false },
      merged: { ...parts, child: -1, freshRate: 0, seedRate: parent && 0 },
      ...change,
    },
  };
}

const times = (n: number, one: Mirrored): Mirrored[] => new Array(n).fill(one);
const [cut, whole, none]: Cut[] = ["pieces", "whole", "none"];
const splits = latent({ child: [cut, cut], parent: [whole, whole] });
const mirrored = latent({ child: [whole, none], parent: [cut, none] });

describe("freshAlone", () => {
  it("lets the word of fresh SAEs stand where one and its mirror are at most a fifth of it", () => {
    const of = (all: Mirrored[]) => freshAlone(all, rule, falseShare).split;
    expect(of(times(5, splits))).toEqual({ called: 5, mirror: 0, stands: true });
    expect(of(times(4, splits))).toEqual({ called: 4, mirror: 0, stands: false });
    expect(of([...times(9, splits), mirrored])).toEqual({ called: 9, mirror: 1, stands: false });
    expect(of([...times(10, splits), mirrored])).toEqual({ called: 10, mirror: 1, stands: true });
    expect(of([])).toEqual({ called: 0, mirror: null, stands: false });
  });

  it("has no mirror, and does not stand, without fresh parent SAEs", () => {
    const alone = times(9, latent({ child: [cut, cut], parent: null }));
    expect(freshAlone(alone, rule, falseShare)).toEqual({
      split: { called: 9, mirror: null, stands: false },
      merged: { called: 0, mirror: null, stands: false },
    });
  });

  it("counts neither what the carried SAE shows as well nor a latent that has half of its word whole", () => {
    const set = { members: [4, 9], r2: 0.9, gain: 0.3, coverage: 0.88 };
    const shown = { ...splits.evidence.split!, set, q: 0.01 };
    const both = { ...splits, evidence: { ...splits.evidence, containPc: 0.5, split: shown } };
    const undecided = latent({ child: [cut, whole], parent: [whole, none] });
    expect(freshAlone([...times(9, both), ...times(9, undecided)], rule, falseShare).split).toEqual(
      { called: 0, mirror: 0, stands: false },
    );
  });

  it("counts latents that no fresh parent SAE found in the mirror alone: they get no verdict, but chance made them", () => {
    const unstable = { seedStable: false };
    const all = [
      latent({ child: [cut, cut], parent: [none, none] }, unstable),
      latent({ child: [whole, none], parent: [cut, cut] }, unstable),
    ];
    expect(freshAlone(all, rule, falseShare).split).toMatchObject({ called: 0, mirror: 1 });
  });

  it("counts merges apart, of latents that the carried SAE did not keep", () => {
    const merges = (change: Partial<LatentEvidence>) =>
      latent(
        { child: [none, none], parent: [whole, whole] },
        { merged: { ...splits.evidence.merged!, freshRate: 1, seedRate: 0 }, ...change },
      );
    expect(freshAlone(times(9, merges({ containPc: 0.5 })), rule, falseShare)).toEqual({
      split: { called: 0, mirror: 0, stands: false },
      merged: { called: 9, mirror: 0, stands: true },
    });
    expect(freshAlone(times(9, merges({})), rule, falseShare).merged.called).toBe(0);
  });

  it("keeps the expected share of false calls at .2 where chance cuts latents of parent and child alike", () => {
    const random = (rng: Rng): Cut => (["whole", "pieces", "none"] as const)[rng.int(3)];
    for (const planted of [0, 4, 12]) {
      let [share, given] = [0, 0];
      const worlds = 200;
      for (let world = 0; world < worlds; world++) {
        const rng = createRng(`exchangeable ${planted} ${world}`);
        const chance = Array.from({ length: 2 + (world % 40) }, () =>
          latent({ child: [random(rng), random(rng)], parent: [random(rng), random(rng)] }),
        );
        const { called, stands } = freshAlone(
          [...chance, ...times(planted, splits)],
          rule,
          falseShare,
        ).split;
        if (stands) share += (called - planted) / called / worlds;
        if (stands) given += 1 / worlds;
      }
      expect(share).toBeLessThanOrEqual(falseShare);
      if (planted === 12) expect(given).toBeGreaterThan(0.3);
    }
  });
});

// A carried SAE that kept all of its latents by inertia, and fresh ones that have them whole, in halves or not at all.
const latents = 48;
const table = randomTable("fresh alone", 1500, latents, 0.08);
const W = Float32Array.from({ length: latents * 12 }, (_, at) => Math.sin(at * at));

function dictionary(cuts: readonly Cut[]): Dictionary {
  const rows = table.map((row) => row.flatMap(() => [0, 0]));
  cuts.forEach((how, i) => {
    let fired = 0;
    table.forEach((row, t) => {
      if (row[i] === 0 || how === "none") return;
      rows[t][2 * i + (how === "pieces" ? fired++ % 2 : 0)] = row[i];
    });
  });
  const W_dec = Float32Array.from(
    rows[0].flatMap((_, j) => [...W.subarray(12 * (j >> 1))].slice(0, 12)),
  );
  return { codes: codesOf(rows), d_in: 12, W_dec, W_enc: W_dec, lineage: null };
}

function arm(role: ArmRole, name: string, cuts: readonly Cut[]): ArmInput {
  return {
    ...dictionary(cuts),
    ...{ role, arm: name, sae: "resid", seed: 0, frame: identityFrame, start: null },
    ...{ l0: null, fvu: null, ce_loss_score_zero: null },
  };
}

const every = (how: Cut): Cut[] => new Array(latents).fill(how);

async function splitsOf(
  fresh: readonly (readonly Cut[])[],
  freshParents: readonly (readonly Cut[])[],
): Promise<{ split: number[]; word: FreshAlone; warnings: readonly string[] }> {
  const { rows, document } = await comparePersistence({
    ...{ stage: "01-wider", name: "resid", sequenceLength: 15, probes: null, curves: null },
    ...{ off_image: null, copy_spread: null, rng: createRng(1) },
    parent: dictionary(every("whole")),
    arms: [
      arm("carried", "carried", every("whole")),
      ...fresh.map((cuts, s) => arm("fresh", `fresh-${s + 1}`, cuts)),
      ...freshParents.map((cuts, s) => arm("fresh-parent", `fresh-parent-${s + 1}`, cuts)),
    ],
    options: { replicates: 20, shiftDraws: 100, partDraws: 100 },
  });
  const split = [...rows.verdict.keys()].filter(
    (row) => rows.side[row] === "parent" && rows.verdict[row] === "split",
  );
  return {
    split: split.map((row) => rows.latent[row] >> 1),
    word: document.fresh_alone,
    warnings: document.warnings,
  };
}

describe("comparePersistence on the word of fresh SAEs alone", () => {
  const apart = Array.from({ length: latents }, (_, i): Cut => (i < 12 ? "pieces" : "whole"));

  it("calls true splits that the carried SAE keeps whole by inertia", async () => {
    const { split, word } = await splitsOf([apart, apart], [every("whole"), every("whole")]);
    expect(split).toEqual(Array.from({ length: 12 }, (_, i) => i));
    expect(word.split).toEqual({ called: 12, mirror: 0, stands: true });
  });

  it("calls none where chance cuts latents on the parent as on the child, and says so", async () => {
    const rng = createRng("cut by chance");
    const chance = (): Cut[] =>
      every("whole").map(() => (["whole", "pieces", "none"] as const)[rng.int(3)]);
    const { split, word, warnings } = await splitsOf([chance(), chance()], [chance(), chance()]);
    expect(word.split.called).toBeGreaterThanOrEqual(5);
    expect(word.split.stands).toBe(false);
    expect(split).toEqual([]);
    expect(warnings).toContainEqual(expect.stringContaining("no more than chance"));
  });

  it("calls none without fresh parent SAEs to hold the word of the child's against, and says so", async () => {
    const { split, word, warnings } = await splitsOf([apart, apart], []);
    expect(split).toEqual([]);
    expect(word.split).toEqual({ called: 12, mirror: null, stands: false });
    expect(warnings).toContainEqual(expect.stringContaining("no fresh parent SAE"));
  });
});
