/**
 * How many features of the base model are still there after each expansion, between two bounds: called persisted every
 * time, and never called died or lost.
 */
import type { RunData } from "../run-data.ts";
import { compact } from "./format.ts";
import type { IntervalRow } from "./interval-rows.ts";
import { stageLabel } from "./stages.ts";

/** Rows of the chart and the half-lives in words; null below two expansions, where the verdicts say the same. */
export interface SurvivalView {
  readonly rows: readonly IntervalRow[];
  readonly features: number;
  readonly halfLives: readonly string[];
}

const bounds = [
  { key: "not_died", label: "not lost", short: "not lost", colour: "born", isMain: false },
  { key: "persisted", label: "persisted", short: "persisted", colour: "persisted", isMain: true },
] as const;

/** The survival of the base cohort of the SAE that the report follows. */
export function survivalView(run: RunData): SurvivalView | null {
  const name = run.plan.saes[0]?.name ?? "resid";
  const sae = run.history?.find((history) => history.name === name);
  const base = sae?.cohorts.find(({ stage }) => stage === run.stages[0]?.name);
  if (base === undefined || base.persisted.points.length < 2) return null;
  const rows = base.persisted.points.flatMap((_, s) =>
    bounds.map(({ key, label, short, colour, isMain }): IntervalRow => {
      const point = base[key].points[s];
      return {
        label: `${stageLabel(point.stage)}: ${label}`,
        short: `${stageLabel(point.stage)}: ${short}`,
        code: "",
        value: point.survival,
        ci: point.ci,
        secondary: null,
        colour,
        isMain,
        from: null,
        to: null,
      };
    }),
  );
  const halfLives = bounds.flatMap(({ key, label }) => {
    const { half_life_tokens: half, half_life_ci: ci } = base[key];
    const span = ci === null ? "" : ` [${compact(ci[0])}, ${compact(ci[1])}]`;
    return half === null ? [] : [`${label}: ${compact(half)} tokens${span}`];
  });
  return { rows, features: base.features, halfLives };
}
