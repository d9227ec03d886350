/**
 * Held-out loss of the grown line, of the unexpanded parent trained on and of the model trained from
 * scratch at the final size, by tokens or by training compute, with the expansions marked.
 */

import type { MetricPoint } from "../run-data/whole-run.ts";
import type { RunData } from "../run-data.ts";
import { decimal } from "./format.ts";
import { growthLabel, sizeOf } from "./stages.ts";
import { exactnessLabel } from "./tiles.ts";

/** One curve. */
export interface Series {
  readonly label: string;
  readonly colour: string;
  readonly dash: string | null;
  readonly points: readonly (readonly [number, number])[];
  /** The figure at the end of the curve; null for all but one of several curves of a name. */
  readonly end: string | null;
}

/** A vertical mark. */
export interface Moment {
  readonly x: number;
  readonly label: string;
  readonly note: string;
}

/** A chart of curves. */
export interface CurvesView {
  readonly series: readonly Series[];
  readonly moments: readonly Moment[];
  /** A horizontal reference; null without. */
  readonly reference: { readonly y: number; readonly label: string } | null;
}

/** What is counted along the axis. */
export type LossAxis = "tokens" | "flops";

/** The curves, or null where no held-out loss was logged on that axis. */
export function lossCurves(run: RunData, axis: LossAxis): CurvesView | null {
  const points = run.metrics.filter(
    ({ phase, held_out_loss }) => phase === "lm" && held_out_loss !== null,
  );
  const curve = (stage: string | null, arm: string): (readonly [number, number])[] =>
    points
      .filter((point) => point.arm === arm && (stage === null || point.stage === stage))
      .flatMap((point) => {
        const x = along(point, axis);
        return x === null ? [] : [[x, point.held_out_loss as number] as const];
      })
      .sort((a, b) => a[0] - b[0]);
  const grown = run.stages
    .map(({ name }, index) => ({ index, points: curve(name, "carried") }))
    .filter((stage) => stage.points.length > 0);
  if (grown.length === 0) return null;
  const last = run.stages.findLast(({ evaluation }) => evaluation !== null)?.evaluation ?? null;
  const series: Series[] = grown.map(({ index, points: own }, at) => ({
    label: index === 0 && grown.length === 1 ? "base" : "grown",
    colour: index === 0 ? "ink" : "persisted",
    dash: null,
    points: own,
    end: at === grown.length - 1 ? decimal(last?.model.held_out_loss ?? end(own)) : null,
  }));
  for (const [arm, label, colour, dash] of [
    ["no-expand", "not expanded", "unknown", "5 3"],
    ["scratch", "from scratch", "drifted", "1.5 3"],
  ] as const) {
    const own = curve(null, arm);
    if (own.length === 0) continue;
    const final = last?.controls[arm]?.held_out_loss ?? end(own);
    series.push({ label, colour, dash, points: own, end: decimal(final) });
  }
  const entropy = run.stages[0]?.evaluation?.model.unigram_entropy ?? null;
  return {
    series,
    moments: grown.flatMap(({ index, points: own }) => {
      if (index === 0) return [];
      const { map, evaluation } = run.stages[index];
      const exactness = map?.exactness ?? evaluation?.exactness ?? null;
      return [
        {
          x: own[0][0],
          label: `${growthLabel(sizeOf(run, index - 1), sizeOf(run, index))}${map?.exact ? ", exact" : ""}`,
          note: exactnessLabel(exactness?.max_abs_dlogit ?? null),
        },
      ];
    }),
    reference:
      entropy === null ? null : { y: entropy, label: `unigram entropy ${decimal(entropy)}` },
  };
}

function along(point: MetricPoint, axis: LossAxis): number | null {
  return axis === "tokens" ? point.tokens : point.flops;
}

function end(points: readonly (readonly [number, number])[]): number {
  return points[points.length - 1][1];
}
