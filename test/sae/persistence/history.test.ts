// Histories and survival: chains worked out by hand, Kaplan–Meier against its product, half-lives of a known risk.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cohorts, featureHistories, type HistoryStage } from "../../../sae/persistence/history.ts";
import { createRng } from "../../../src/engine/index.ts";

const stage = (
  name: string,
  tokens: number,
  fates: readonly (readonly [verdict: string, match: number])[],
  own: readonly string[],
): HistoryStage => ({
  stage: name,
  tokens,
  verdict: fates.map(([verdict]) => verdict),
  match: Int32Array.from(fates, ([, match]) => match),
  own,
});

const base = { stage: "00-base", latents: 5 };
const stages = [
  stage(
    "01-wider",
    100,
    [
      ["persisted", 1],
      ["died", -1],
      ["unknown", -1],
      ["uncertain", 4],
      ["carried_only", 0],
    ],
    ["carried_only", "persisted", "uncovered", "born", "uncertain", "split", "related", "unknown"],
  ),
  stage(
    "02-deeper",
    300,
    [
      ["persisted", 0],
      ["drifted_direction", 3],
      ["persisted", 2],
      ["died", -1],
      ["persisted", 4],
      ["persisted", 5],
      ["persisted", 6],
      ["persisted", 7],
    ],
    ["born", "born", "born", "born"],
  ),
];

describe("featureHistories", () => {
  test("follows a feature through the latents that it was matched with, until its trace ends", () => {
    expect(featureHistories(base, stages)).toEqual([
      { cohort: "00-base", latents: [0, 1, 3], verdicts: ["persisted", "drifted_direction"] },
      { cohort: "00-base", latents: [1], verdicts: ["died"] },
      { cohort: "00-base", latents: [2], verdicts: ["unknown"] },
      { cohort: "00-base", latents: [3], verdicts: ["uncertain"] },
      { cohort: "00-base", latents: [4, 0, 0], verdicts: ["carried_only", "persisted"] },
      { cohort: "01-wider", latents: [2, 2], verdicts: ["persisted"] },
      { cohort: "01-wider", latents: [3], verdicts: ["died"] },
    ]);
  });
});

describe("features that a later stage's SAE was the first to have", () => {
  // four latents of the base: one kept, one split into two, one that two merged into, one undecided
  const [latents, kept] = [5, 0];
  const fates: readonly (readonly [string, number])[] = [
    ["persisted", kept],
    ["split", 1],
    ["merged", 3],
    ["merged", 3],
    ["uncertain", 4],
  ];
  const own = ["persisted", "split", "split", "merged", "uncertain", "related", "unknown"];
  const next = stage(
    "02-deeper",
    100,
    [...own, "born", "uncovered"].map((_, j) => ["persisted", j]),
    [],
  );
  const cohortOf = (verdicts: readonly string[]) =>
    featureHistories({ stage: "00-base", latents }, [
      stage("01-wider", 100, fates, verdicts),
      next,
    ]).filter(({ cohort }) => cohort === "01-wider");

  test("are no pieces, wholes or undecided heirs of old ones", () => {
    expect(cohortOf(own)).toEqual([]);
  });

  test("are those called born or uncovered", () => {
    expect(cohortOf([...own, "born", "uncovered"])).toEqual([
      { cohort: "01-wider", latents: [7, 7], verdicts: ["persisted"] },
      { cohort: "01-wider", latents: [8, 8], verdicts: ["persisted"] },
    ]);
    // one that an old latent goes on into is not new, whatever its own verdict
    expect(cohortOf(["born", "born"]).map((history) => history.latents[0])).toEqual([1]);
  });
});

describe("cohorts", () => {
  const [first, second] = cohorts(featureHistories(base, stages), stages, createRng(1), 50);

  test("by being persisted, whatever is undecided counts as lost", () => {
    expect(first.features).toBe(4);
    // at first 4 features, of which one is persisted; then it drifts
    expect(first.persisted.points).toMatchObject([
      { stage: "01-wider", tokens: 100, at_risk: 4, lost: 3, censored: 0, survival: 0.25 },
      { stage: "02-deeper", tokens: 400, at_risk: 1, lost: 1, censored: 0, survival: 0 },
    ]);
  });

  test("by not having died, a trace that ends otherwise leaves the count", () => {
    expect(first.not_died.points).toMatchObject([
      { at_risk: 4, lost: 1, censored: 1, survival: 0.75 },
      { at_risk: 2, lost: 0, censored: 0, survival: 0.75 },
    ]);
    expect(second.not_died.points).toMatchObject([
      { stage: "02-deeper", tokens: 300, at_risk: 2, lost: 1, survival: 0.5 },
    ]);
    expect(first.not_died.half_life_tokens).toBeNull();
  });

  test("half-lives of a constant risk are found, and lie in their intervals", () => {
    const rng = createRng("constant risk");
    const latents = 600;
    const risk = 0.2;
    const many = Array.from({ length: 6 }, (_, s) => {
      const alive = Array.from({ length: latents }, () => rng.next() >= risk);
      return stage(
        `stage ${s}`,
        1000,
        alive.map((isAlive, i) => (isAlive ? ["persisted", i] : ["died", -1])),
        new Array<string>(latents).fill("persisted"),
      );
    });
    const histories = featureHistories({ stage: "base", latents }, many);
    const [{ not_died }] = cohorts(histories, many, createRng(2), 200);
    const truth = (Math.LN2 * 1000) / -Math.log(1 - risk);
    const [low, high] = not_died.half_life_ci as readonly [number, number];
    expect(low).toBeLessThan(truth);
    expect(high).toBeGreaterThan(truth);
    expect(high - low).toBeLessThan(0.25 * truth);
    for (const [s, { survival, ci }] of not_died.points.entries()) {
      expect(Math.abs(survival - (1 - risk) ** (s + 1))).toBeLessThan(0.06);
      expect(ci[0]).toBeLessThanOrEqual(survival);
      expect(ci[1]).toBeGreaterThanOrEqual(survival);
    }
  });

  test("where nothing is unknown, persisting never lasts longer than not having died", () => {
    const verdicts = ["persisted", "carried_only", "died", "uncertain", "split"];
    const fate = fc.tuple(fc.constantFrom(...verdicts), fc.constant(0));
    const fates = fc.array(fate, { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(fates, fates, (one, two) => {
        const latents = new Array<string>(8).fill("born");
        const run = [stage("1", 10, own(one), latents), stage("2", 10, own(two), latents)];
        const all = cohorts(
          featureHistories({ stage: "0", latents: 8 }, run),
          run,
          createRng(3),
          2,
        );
        for (const { persisted, not_died } of all) {
          for (const [s, { survival }] of persisted.points.entries()) {
            expect(survival).toBeLessThanOrEqual(not_died.points[s].survival + 1e-12);
          }
        }
      }),
      { numRuns: 60 },
    );
    function own(list: readonly (readonly [string, number])[]): [string, number][] {
      return list.map(([verdict], i) => [verdict, i]);
    }
  });
});
