/** FVU while the stage's SAEs trained: the carried one against the fresh ones, whose end is the mark to reach. */

import type { MetricPoint } from "../run-data/whole-run.ts";
import type { RunData, StageData } from "../run-data.ts";
import { decimal } from "./format.ts";
import type { CurvesView, Series } from "./loss-curves.ts";

/** Points that a smoothed point averages over. */
const smoothing = 5;

/** The curves of stage `index`, or null where there is nothing to compare with. */
export function saeCurves(run: RunData, index: number): CurvesView | null {
  const stage = run.stages[index];
  const name = run.plan.saes[0]?.name ?? "resid";
  const points = run.metrics.filter(
    (point) =>
      point.phase === "sae" &&
      point.stage === stage.name &&
      point.fvu !== null &&
      (point.sae === null || point.sae === name),
  );
  const curve = (arm: string): (readonly [number, number])[] =>
    smoothed(
      points
        .filter((point) => point.arm === arm)
        .map((point) => [point.tokens, point.fvu as number] as const)
        .sort((a, b) => a[0] - b[0]),
    );
  const own = curve("carried");
  if (own.length < 2) return null;
  const real: Series = {
    label: index === 0 ? "SAE" : "carried",
    colour: "persisted",
    dash: null,
    points: own,
    end: decimal(own[own.length - 1][1], 3),
  };
  return index === 0 ? againstPca(stage, real) : againstFresh(stage, real, points, curve);
}

/** The base SAE and the floor that it should beat. */
function againstPca({ evaluation }: StageData, real: Series): CurvesView | null {
  const pca = evaluation?.pca_fvu ?? null;
  if (pca === null) return null;
  const reference = { y: pca, label: `PCA at the same rank ${decimal(pca, 3)}` };
  return { series: [real], moments: [], reference };
}

function againstFresh(
  { persistence }: StageData,
  real: Series,
  points: readonly MetricPoint[],
  curve: (arm: string) => (readonly [number, number])[],
): CurvesView | null {
  const arms = [...new Set(points.map(({ arm }) => arm))].filter((arm) => /^fresh(-|$)/.test(arm));
  if (arms.length === 0) return null;
  const fresh = arms.sort().map((arm, i): Series => {
    const own = curve(arm);
    const end = i === 0 ? decimal(own[own.length - 1][1], 3) : null;
    return { label: "fresh", colour: "born", dash: "5 3", points: own, end };
  });
  const ends = fresh.map(({ points: own }) => own[own.length - 1]);
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value / values.length, 0);
  const ratio = persistence?.tokens_ratio ?? null;
  return {
    series: [...fresh, real],
    moments:
      ratio === null
        ? []
        : [
            {
              x: ratio * mean(ends.map(([tokens]) => tokens)),
              label: `${decimal(ratio)} of its tokens`,
              note: "",
            },
          ],
    reference: { y: mean(ends.map(([, fvu]) => fvu)), label: "where a fresh SAE ends" },
  };
}

function smoothed(points: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  const reach = (smoothing - 1) / 2;
  return points.map(([tokens], at) => {
    const span = Math.min(reach, at, points.length - 1 - at);
    const near = points.slice(at - span, at + span + 1);
    return [tokens, near.reduce((sum, [, fvu]) => sum + fvu / near.length, 0)] as const;
  });
}
