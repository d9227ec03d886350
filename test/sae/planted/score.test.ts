import { describe, expect, it } from "vitest";
import { bestAssignment } from "../../../sae/planted/assignment.ts";
import { baselines } from "../../../sae/planted/baselines.ts";
import {
  classScore,
  confusionOf,
  featureOf,
  rateOf,
  sumConfusions,
} from "../../../sae/planted/score.ts";
import { createRng } from "../../../src/engine/random.ts";
import { codesOf } from "../persistence/support.ts";

describe("scores", () => {
  // persisted: 3 right, 1 called died; died: 2 right, 1 called persisted, 1 unknown; none: 4 called persisted.
  const confusion = confusionOf([
    ...new Array(3).fill(["persisted", "persisted"]),
    ["persisted", "died"],
    ...new Array(2).fill(["died", "died"]),
    ["died", "persisted"],
    ["died", "unknown"],
    ...new Array(4).fill(["none", "persisted"]),
  ]);

  it("are those of a confusion matrix counted by hand", () => {
    const persisted = classScore(confusion, "persisted");
    expect(persisted.precision.value).toBe(3 / 4);
    expect(persisted.recall.value).toBe(3 / 4);
    expect(persisted.f1).toBe(3 / 4);
    const died = classScore(confusion, "died");
    expect(died.precision.value).toBe(2 / 3);
    // what nobody could judge is not held against the rule
    expect(died.recall).toMatchObject({ value: 2 / 3, of: 3 });
    // latents that stand for no feature count where they are not left out
    expect(classScore(confusion, "persisted", ["persisted"], []).precision.value).toBe(3 / 8);
    expect(sumConfusions([confusion, confusion]).persisted).toEqual({ persisted: 6, died: 2 });
  });

  it("have Wilson's intervals", () => {
    // 8 of 10: (0.8 + z²/20 ± z √(0.016 + z²/400)) / (1 + z²/10), z² = 3.841459
    expect(rateOf(8, 10).ci[0]).toBeCloseTo(0.4902, 4);
    expect(rateOf(8, 10).ci[1]).toBeCloseTo(0.9433, 4);
    expect(rateOf(10, 10).ci[1]).toBeCloseTo(1, 12);
    expect(rateOf(0, 0).value).toBeNaN();
  });

  it("a latent stands for the feature it correlates with most, or for none", () => {
    const truth = [
      [1, 0],
      [2, 0],
      [0, 1],
      [0, 0],
      [0, 3],
    ];
    const latents = truth.map(([a, b], t) => [b, 2 * a, t === 3 ? 1 : 0]);
    expect([...featureOf(codesOf(latents), codesOf(truth))]).toEqual([1, 0, -1]);
  });
});

describe("bestAssignment", () => {
  it("is the best of all permutations", () => {
    const rng = createRng("assignment");
    for (const [rows, columns] of [
      [1, 1],
      [3, 3],
      [4, 6],
      [5, 5],
    ]) {
      const score = Float64Array.from({ length: rows * columns }, () => rng.normal());
      const value = (choice: readonly number[]): number =>
        choice.reduce((sum, j, i) => sum + score[i * columns + j], 0);
      const all = (left: number, taken: readonly number[]): number[][] =>
        left === 0
          ? [[...taken]]
          : Array.from({ length: columns }, (_, j) => j)
              .filter((j) => !taken.includes(j))
              .flatMap((j) => all(left - 1, [...taken, j]));
      const best = Math.max(...all(rows, []).map(value));
      const got = [...bestAssignment(score, rows, columns)];
      expect(new Set(got).size).toBe(rows);
      expect(value(got)).toBeCloseTo(best, 12);
    }
  });
});

describe("the field's rules", () => {
  // Latent 0 kept, latent 1 now where latent 2 was, latent 2 gone far, child 3 new.
  const cosines = {
    nParent: 3,
    nChild: 4,
    values: Float64Array.from([0.9, 0, 0.1, 0, 0, 0.2, 0.3, 0, 0, 0.95, 0.4, 0.1]),
  };
  const judged = (name: string) => baselines[name].judge(cosines);

  it("index cosine looks at the same index alone", () => {
    expect(judged("index cosine").parent).toEqual(["persisted", "other", "other"]);
    expect(judged("index cosine").child).toEqual(["persisted", "other", "other", "other"]);
  });

  it("SAE-Track's drift knows no loss", () => {
    expect(judged("SAE-Track drift").parent).toEqual([
      "persisted",
      "drifted_direction",
      "drifted_direction",
    ]);
  });

  it("Hungarian matching pairs the whole and cuts at .7", () => {
    // 0–0, 2–1 and 1–2 is the largest sum, 0.9 + 0.95 + 0.3
    expect(judged("Hungarian cosine").parent).toEqual(["persisted", "died", "persisted"]);
    expect(judged("Hungarian cosine").child).toEqual(["persisted", "persisted", "born", "born"]);
  });

  it("Hungarian matching takes a child with fewer latents too", () => {
    const values = Float64Array.from([0.1, 0.9, 0.8]);
    expect(baselines["Hungarian cosine"].judge({ nParent: 3, nChild: 1, values })).toEqual({
      parent: ["died", "persisted", "died"],
      child: ["persisted"],
    });
  });

  it("mutual nearest neighbours need no cosine at all", () => {
    expect(judged("mutual nearest").parent).toEqual(["persisted", "died", "persisted"]);
    expect(judged("mutual nearest").child).toEqual(["persisted", "persisted", "born", "born"]);
  });
});
