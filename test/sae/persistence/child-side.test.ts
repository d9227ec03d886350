import { describe, expect, it } from "vitest";
import { resample, sequenceBlocks } from "../../../sae/persistence/bootstrap.ts";
import { childVerdicts } from "../../../sae/persistence/child-side.ts";
import { type FunctionMatches, prepareSide } from "../../../sae/persistence/function-matches.ts";
import { persistenceDefaults } from "../../../sae/persistence/input.ts";
import type { PartMatches } from "../../../sae/persistence/part-matches.ts";
import type { ParentVerdict } from "../../../sae/persistence/verdicts.ts";
import { createRng } from "../../../src/engine/random.ts";
import { codesOf } from "./support.ts";

const tokens = 40;

/** Parent latents with these verdicts; whose best child is `child`, and each child's best parent `relative` at `r`. */
interface Case {
  readonly verdicts: readonly ParentVerdict[];
  readonly child: readonly number[];
  readonly mutual: readonly number[];
  readonly relative: readonly number[];
  readonly r: readonly number[];
  readonly tau?: readonly number[];
  readonly parts?: Partial<PartMatches>;
}

/** The verdicts on the child latents, none of which shares a firing with a parent latent: correlations are those given. */
function childrenOf({ verdicts, child, mutual, relative, r, tau, parts }: Case): string[] {
  const [n, m] = [verdicts.length, relative.length];
  const side = (latents: number, phase: (i: number) => number) => {
    const row = (t: number) =>
      Array.from({ length: latents }, (_, i) => (t % 3 === phase(i) ? 1 : 0));
    const table = Array.from({ length: tokens }, (_, t) => row(t));
    return prepareSide(codesOf(table), "side", 2, 2);
  };
  const none = new Float64Array(n).fill(Number.NaN);
  const matches: FunctionMatches = {
    matches: {
      top: 1,
      child: Int32Array.from(child),
      correlation: none,
      relative: Int32Array.from(relative),
      relativeCorrelation: Float64Array.from(r),
      claimant: Int32Array.from(relative),
    },
    groups: {
      leader: Int32Array.from(verdicts.keys()),
      child: Int32Array.from(child),
      correlation: none,
      mutual: Uint8Array.from(mutual),
    },
    containPc: none,
    containCp: none,
    matched: new Uint8Array(n),
    found: new Uint8Array(n),
  };
  const resampling = resample(
    sequenceBlocks(tokens, 4, 10),
    new Float64Array(n).fill(1),
    10,
    createRng("child side"),
  );
  const empty = verdicts.map(() => null);
  return childVerdicts({
    parent: side(n, (i) => i),
    child: side(m, () => 2),
    matches,
    verdicts: verdicts.map((verdict) => ({ verdict, detail: "" })),
    parts: { split: empty, merged: empty, ...parts },
    tau: Float64Array.from(tau ?? verdicts.map(() => 0.99)),
    freshRate: null,
    probe: () => null,
    rule: { ...persistenceDefaults, cosine: 0.7, minFirings: 2 },
    resampling,
  }).map(({ verdict }) => verdict);
}

describe("childVerdicts", () => {
  it("holds a pair against the threshold of its own parent latent, whatever that of other latents is", () => {
    const pair = { child: [-1, -1], mutual: [0, 0], relative: [0, 1], r: [0.57, 0.57] };
    const verdicts = ["died", "died"] as const;
    expect(childrenOf({ ...pair, verdicts, tau: [0.5, 0.99] })).toEqual(["related", "born"]);
  });

  it("descends from a mutual match first, then from a latent whose direction it keeps, in any order of the parent's", () => {
    const shared = { child: [0, 0], mutual: [0, 0], relative: [1], r: [0.3] };
    expect(childrenOf({ ...shared, verdicts: ["died", "drifted_meaning"] })).toEqual([
      "drifted_meaning",
    ]);
    expect(childrenOf({ ...shared, verdicts: ["drifted_meaning", "died"] })).toEqual([
      "drifted_meaning",
    ]);
    const verdicts = ["drifted_meaning", "persisted"] as const;
    expect(childrenOf({ ...shared, verdicts, mutual: [0, 1] })).toEqual(["persisted"]);
    // No mutual match, and no direction was looked at.
    expect(childrenOf({ ...shared, verdicts: ["persisted", "died"] })).toEqual(["born"]);
  });

  it("descends from a split latent as a piece of it alone, not as the child that correlates best", () => {
    const set = { members: [1, 2], r2: 0.9, gain: 0.3, coverage: 0.9, absorbed: false };
    const split = { child: [0], mutual: [0], relative: [0, 0, 0], r: [0.3, 0.3, 0.3] };
    expect(childrenOf({ ...split, verdicts: ["split"], parts: { split: [set] } })).toEqual([
      "born",
      "split",
      "split",
    ]);
  });

  it("has one verdict where it is a piece of several, the first of the rule, in any order of the parent's", () => {
    const set = { members: [0, 1], r2: 0.9, gain: 0.3, coverage: 0.9 };
    const absorbed = { ...set, absorbed: true };
    const split = { ...set, absorbed: false };
    const pair = { child: [-1, -1], mutual: [0, 0], relative: [0, 0], r: [0.3, 0.3] };
    for (const parts of [
      { verdicts: ["absorbed", "split"] as const, parts: { split: [absorbed, split] } },
      { verdicts: ["split", "absorbed"] as const, parts: { split: [split, absorbed] } },
    ]) {
      expect(childrenOf({ ...pair, ...parts })).toEqual(["split", "split"]);
    }
  });
});
