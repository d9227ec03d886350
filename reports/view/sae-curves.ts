/** FVU while the stage's SAEs trained: the carried one against the fresh ones, whose end is the mark to reach. */
import type { RunData } from "../run-data.ts";
import { decimal } from "./format.ts";
import type { CurvesView, Series } from "./loss-curves.ts";

/** Points that a smoothed point averages over. */
const smoothing = 5;

/** The curves of stage `index`, or null where there are not two to compare. */
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
  const fresh = [...new Set(points.map(({ arm }) => arm))].filter((arm) => /^fresh(-|$)/.test(arm));
  const carried = curve("carried");
  if (carried.length < 2 || fresh.length === 0 || index === 0) return null;
  const freshSeries: Series[] = fresh.sort().map((arm, i) => {
    const own = curve(arm);
    const last = own[own.length - 1];
    return {
      label: "fresh",
      colour: "born",
      dash: "5 3",
      points: own,
      end: i === 0 ? decimal(last[1], 3) : null,
    };
  });
  const ratio = stage.persistence?.tokens_ratio ?? null;
  const ends = freshSeries.map(({ points: own }) => own[own.length - 1]);
  const target = ends.reduce((sum, [, fvu]) => sum + fvu / ends.length, 0);
  const span = ends.reduce((sum, [tokens]) => sum + tokens / ends.length, 0);
  return {
    series: [
      ...freshSeries,
      {
        label: "carried",
        colour: "persisted",
        dash: null,
        points: carried,
        end: decimal(carried[carried.length - 1][1], 3),
      },
    ],
    moments:
      ratio === null
        ? []
        : [{ x: ratio * span, label: `${decimal(ratio)} of its tokens`, note: "" }],
    reference: { y: target, label: "where a fresh SAE ends" },
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
