import { expect, test } from "vitest";
import type { MetricPoint } from "../../../reports/run-data/whole-run.ts";
import { saeCurves } from "../../../reports/view/sae-curves.ts";
import { evaluation, persistence, run, stage } from "../small-run.ts";

const points = (name: string, arm: string, ...fvus: readonly number[]): MetricPoint[] =>
  fvus.map((fvu, i) => ({
    stage: name,
    arm,
    phase: "sae",
    sae: "resid",
    tokens: 100 * i,
    flops: null,
    held_out_loss: null,
    fvu,
    l0: null,
    dead_fraction: null,
  }));

test("the carried SAE is drawn against the end of the fresh ones, smoothed over five points", () => {
  const view = saeCurves(
    run(
      [stage("00-base"), stage("01-wider", { persistence: persistence({ tokens_ratio: 0.5 }) })],
      {
        metrics: [
          ...points("01-wider", "carried", 0.4, 0.1, 0.1),
          ...points("01-wider", "fresh-1", 0.9, 0.2, 0.1),
          ...points("01-wider", "fresh-2", 0.9, 0.2, 0.3),
          ...points("00-base", "carried", 0.9, 0.8),
        ],
      },
    ),
    1,
  );
  const carried = view?.series.at(-1);
  expect(carried?.points.map(([, fvu]) => fvu)).toBeAllclose([0.4, 0.2, 0.1]);
  expect(view?.series.map(({ label, end }) => [label, end])).toEqual([
    ["fresh", "0.100"],
    ["fresh", null],
    ["carried", "0.100"],
  ]);
  expect(view?.reference?.y).toBeCloseTo(0.2);
  expect(view?.moments).toEqual([{ x: 100, label: "0.50 of its tokens", note: "" }]);
});

test("the base SAE is drawn against PCA, and what has nothing beside it is not drawn", () => {
  const metrics = points("00-base", "carried", 0.9, 0.1, 0.02);
  const base = stage("00-base", { evaluation: evaluation(64, 4) });
  expect(saeCurves(run([base], { metrics }), 0)?.reference).toEqual({
    y: 0.05,
    label: "PCA at the same rank 0.050",
  });
  expect(saeCurves(run([stage("00-base")], { metrics }), 0)).toBeNull();
  expect(saeCurves(run([base]), 0)).toBeNull();
});
