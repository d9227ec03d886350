import { expect, test } from "vitest";
import type { HistorySummary, SurvivalSummary } from "../../../reports/run-data/whole-run.ts";
import { survivalView } from "../../../reports/view/survival.ts";
import { run, stage } from "../small-run.ts";

const curve = (values: readonly number[], half: number | null): SurvivalSummary => ({
  points: values.map((survival, s) => ({
    stage: `0${s + 1}-wider`,
    tokens: 1000 * (s + 1),
    survival,
    ci: [survival - 0.1, survival + 0.1] as const,
  })),
  half_life_tokens: half,
  half_life_ci: half === null ? null : [half / 2, 2 * half],
});

const history = (stages: number): readonly HistorySummary[] => [
  {
    name: "resid",
    cohorts: [
      {
        stage: "00-base",
        features: 90,
        persisted: curve([0.6, 0.4].slice(0, stages), 1500),
        not_died: curve([0.9, 0.8].slice(0, stages), null),
      },
    ],
  },
];
const names = ["00-base", "01-wider", "02-wider"].map((name) => stage(name));

test("both bounds at each stage, and the half-lives that are known", () => {
  const view = survivalView(run(names, { history: history(2) }));
  expect(view?.rows.map(({ label, value, ci }) => [label, value, ci])).toEqual([
    ["01 wider: not lost", 0.9, [0.8, 1]],
    ["01 wider: persisted", 0.6, [0.5, 0.7]],
    ["02 wider: not lost", 0.8, [0.7000000000000001, 0.9]],
    ["02 wider: persisted", 0.4, [0.30000000000000004, 0.5]],
  ]);
  expect(view?.features).toBe(90);
  expect(view?.halfLives).toEqual(["persisted: 1.5k tokens [750, 3k]"]);
});

test("nothing where a run has no history or one expansion alone", () => {
  expect(survivalView(run(names))).toBeNull();
  expect(survivalView(run(names, { history: history(1) }))).toBeNull();
});
