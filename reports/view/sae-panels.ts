/**
 * Every SAE of a stage in training, as small multiples: FVU, L0 and dead latents over its tokens, the carried SAE, its
 * fresh siblings and its parent's own training on the same axes.
 */

import type { MetricPoint } from "../run-data/whole-run.ts";
import type { RunData } from "../run-data.ts";
import { decimal, percent } from "./format.ts";
import type { Series } from "./loss-curves.ts";

/** One panel. */
export interface Panel {
  readonly title: string;
  readonly log: boolean;
  readonly series: readonly Series[];
}

/** The panels of one SAE, which share their axis of tokens. */
export interface SaePanels {
  readonly name: string;
  readonly panels: readonly Panel[];
}

/** The figures that training logs, by panel. */
const measures = [
  { key: "fvu", title: "FVU", log: true, shown: (y: number) => decimal(y, 3) },
  { key: "l0", title: "L0", log: false, shown: (y: number) => decimal(y, 1) },
  { key: "dead_fraction", title: "dead latents", log: false, shown: (y: number) => percent(y) },
] as const;

/** The panels of stage `index`, one row an SAE; empty where no SAE was trained. */
export function saePanels(run: RunData, index: number): SaePanels[] {
  const stage = run.stages[index].name;
  const points = run.metrics.filter(({ phase }) => phase === "sae");
  const own = points.filter((point) => point.stage === stage);
  const before = index === 0 ? null : run.stages[index - 1].name;
  const parents = points.filter((point) => point.stage === before && point.arm === "carried");
  const names = [...new Set(own.map(({ sae }) => sae ?? "resid"))];
  return names.map((name) => {
    const ofSae = ({ sae }: MetricPoint): boolean => (sae ?? "resid") === name;
    const mine = own.filter(ofSae);
    const lines = linesOf(index, mine, parents.filter(ofSae));
    return {
      name,
      panels: measures.map(({ key, title, log, shown }) => ({
        title,
        log,
        series: lines.flatMap(({ label, colour, dash, from }): Series[] => {
          const curve = from
            .flatMap((point) => {
              const y = point[key];
              // a logarithm has no place for zero
              return y === null || (log && y <= 0) ? [] : [[point.tokens, y] as const];
            })
            .sort((a, b) => a[0] - b[0]);
          if (curve.length < 2) return [];
          return [{ label, colour, dash, points: curve, end: shown(curve[curve.length - 1][1]) }];
        }),
      })),
    };
  });
}

interface Line extends Pick<Series, "label" | "colour" | "dash"> {
  readonly from: readonly MetricPoint[];
}

function linesOf(
  index: number,
  own: readonly MetricPoint[],
  parents: readonly MetricPoint[],
): Line[] {
  const arms = [...new Set(own.map(({ arm }) => arm))].sort();
  const fresh = arms.filter((arm) => /^fresh(-|$)/.test(arm));
  return [
    ...(parents.length > 0
      ? [{ label: "parent", colour: "unknown", dash: "2 3", from: parents }]
      : []),
    ...fresh.map((arm) => ({
      label: "fresh",
      colour: "born",
      dash: "5 3",
      from: own.filter((point) => point.arm === arm),
    })),
    {
      label: index === 0 ? "trained" : "carried",
      colour: "persisted",
      dash: null,
      from: own.filter(({ arm }) => arm === "carried"),
    },
  ];
}
