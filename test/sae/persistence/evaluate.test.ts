import { describe, expect, it } from "vitest";
import { armVerdicts, type Context, type MeasuredArm } from "../../../sae/persistence/evaluate.ts";
import { functionMatches, prepareSide } from "../../../sae/persistence/function-matches.ts";
import { identityFrame, persistenceDefaults } from "../../../sae/persistence/input.ts";
import type { Merge } from "../../../sae/persistence/part-matches.ts";
import { codesOf } from "./support.ts";

const n = 100;
const draws = 500;
const [first, second] = [n - 2, n - 1];

/** `n` latents that fire on two tokens each, as the arm's do; the last two of the parent's on tokens that the arm's don't. */
function keptButTwo() {
  const table = (moved: number) =>
    Array.from({ length: 2 * n + moved }, (_, t) =>
      Array.from({ length: n }, (_, i) =>
        (t - (i >= first ? moved : 0)) >> 1 === i && t < 2 * n + moved ? 1 : 0,
      ),
    );
  const parent = prepareSide(codesOf(table(4)), "parent", 2, 0.95);
  const codes = codesOf([...table(0), ...Array.from({ length: 4 }, () => new Array(n).fill(0))]);
  const child = prepareSide(codes, "arm", 2, 0.95);
  return { parent, child };
}

describe("armVerdicts", () => {
  it("tests merges over every latent of the arm, heirs of kept latents included, so that the outcome chooses no family", () => {
    const { parent, child } = keptButTwo();
    const tau = new Float64Array(n).fill(0.5);
    const W = Float32Array.from({ length: n * n }, (_, at) => (at % (n + 1) === 0 ? 1 : 0));
    const dictionary = { codes: parent.codes, d_in: n, W_dec: W, W_enc: W, lineage: null };
    // The heirs of latents 0 and 1 have sets that the last two are in.
    const set = { r2: 0.9, gain: 0.3, coverage: 0.9 };
    const merged: (Merge | null)[] = new Array(n).fill(null);
    merged[first] = { ...set, members: [0, first], child: 0, partners: [0] };
    merged[second] = { ...set, members: [1, second], child: 1, partners: [1] };
    const matches = functionMatches(parent, child.codes, child.firings, tau, 0.7);
    const none = new Float64Array(n).fill(Number.NaN);
    const arm: MeasuredArm = {
      input: {
        ...dictionary,
        ...{ role: "carried", arm: "carried", sae: "resid", seed: 0, frame: identityFrame },
        ...{ start: null, l0: null, fvu: null, ce_loss_score_zero: null },
      },
      matches,
      shares: {
        function: { value: 1, replicates: none },
        match: { value: 1, replicates: none },
        foundIn: new Uint8Array(0),
        correlationLow: none,
        correlationHigh: none,
      },
      firings: new Int32Array(n).fill(2),
      parts: { split: new Array(n).fill(null), merged },
    };
    const zeros = {
      bins: [
        {
          firings: [2, 2] as const,
          latents: Int32Array.from({ length: n }, (_, i) => i),
          maxima: new Float64Array(draws),
          p99: 0,
        },
      ],
      binOf: new Int32Array(n),
    };
    const context: Context = {
      parent,
      rule: { ...persistenceDefaults, cosine: 0.7, minFirings: 2 },
      falseShare: 0.2,
      tau,
      shifts: zeros,
      freshRate: null,
      parentSeedRate: null,
      judgeStability: false,
      probe: () => null,
      parts: {
        nulls: { split: zeros, merged: zeros },
        ...{ splitRate: null, splitSeedRate: null, absorbed: new Uint8Array(n) },
        ...{ mergeRate: null, mergeSeedRate: null },
      },
    };
    const { verdicts, mergeTests } = armVerdicts(dictionary, arm, context);
    expect(verdicts.filter(({ verdict }) => verdict === "carried_only")).toHaveLength(n - 2);
    expect(mergeTests.p[first]).toBeCloseTo(1 / (1 + draws), 12);
    // Two of a hundred: chance makes as many, and neither counts.
    expect(mergeTests.q[first]).toBeCloseTo(n / 2 / (1 + draws), 12);
    expect(verdicts[first].verdict).toBe("died");
    expect(verdicts[second].verdict).toBe("died");
  });
});
