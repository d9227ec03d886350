import { expect, test } from "vitest";
import { Drawing } from "../../../reports/charts/drawing.ts";
import { panelsChart } from "../../../reports/charts/panels-chart.ts";
import type { MetricPoint } from "../../../reports/run-data/whole-run.ts";
import { saePanels } from "../../../reports/view/sae-panels.ts";
import { run, stage } from "../small-run.ts";

const points = (
  name: string,
  arm: string,
  sae: string,
  ...values: readonly (readonly [fvu: number | null, l0: number | null, dead: number | null])[]
): MetricPoint[] =>
  values.map(([fvu, l0, dead_fraction], i) => ({
    stage: name,
    arm,
    phase: "sae",
    sae,
    tokens: 100 * (i + 1),
    flops: null,
    held_out_loss: null,
    fvu,
    l0,
    dead_fraction,
  }));

const data = run([stage("00-base"), stage("01-wider")], {
  metrics: [
    ...points("00-base", "carried", "resid", [0.9, 9, 0], [0.5, 8, 0.25]),
    ...points("01-wider", "carried", "resid", [0.6, 9, 0], [0.4, 7, 0.5]),
    ...points("01-wider", "fresh-1", "resid", [0.9, 9, 0], [0.45, 6, 0]),
    ...points("01-wider", "reinit", "resid", [0.9, 9, 0], [0.9, 6, 0]),
    ...points("01-wider", "carried", "neurons", [0, 3, 0.1], [0.2, null, 0.1], [0.1, 2, 0.1]),
  ],
});

test("every SAE has its FVU, L0 and dead latents: parent, fresh and carried on the same axes", () => {
  const [resid, neurons] = saePanels(data, 1);
  expect(resid.panels.map(({ title }) => title)).toEqual(["FVU", "L0", "dead latents"]);
  expect(resid.panels[0].series.map(({ label, end, points }) => [label, end, points])).toEqual([
    [
      "parent",
      "0.500",
      [
        [100, 0.9],
        [200, 0.5],
      ],
    ],
    [
      "fresh",
      "0.450",
      [
        [100, 0.9],
        [200, 0.45],
      ],
    ],
    [
      "carried",
      "0.400",
      [
        [100, 0.6],
        [200, 0.4],
      ],
    ],
  ]);
  expect(resid.panels[2].series.map(({ end }) => end)).toEqual(["25%", "0%", "50%"]);
  // zero has no place on a logarithm, a value that was not logged none anywhere
  expect(neurons.panels.map(({ series }) => series[0].points)).toEqual([
    [
      [200, 0.2],
      [300, 0.1],
    ],
    [
      [100, 3],
      [300, 2],
    ],
    [
      [100, 0.1],
      [200, 0.1],
      [300, 0.1],
    ],
  ]);
});

test("the base has its own training alone, and a stage without SAEs has no panels", () => {
  const [base] = saePanels(data, 0);
  expect(base.panels[1].series.map(({ label }) => label)).toEqual(["trained"]);
  expect(saePanels(run([stage("00-base")]), 0)).toEqual([]);
});

test("the drawing names every figure in words, at any width, and every coordinate is a number", () => {
  const drawing = new Drawing();
  for (const width of [326, 576, 1170]) {
    const svg = panelsChart(drawing, saePanels(data, 1), width);
    expect(svg).toContain("resid: FVU 0.400, L0 7.0, dead latents 50%; neurons: FVU 0.100");
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(svg.match(/<path/g)).toHaveLength(3 * 3 + 3);
  }
});
