import { expect, test } from "vitest";
import { curvesChart } from "../../../reports/charts/curves-chart.ts";
import { Drawing, path, round } from "../../../reports/charts/drawing.ts";
import { flowChart } from "../../../reports/charts/flow.ts";
import { headGridChart } from "../../../reports/charts/head-grid-chart.ts";
import { histogramChart } from "../../../reports/charts/histogram-chart.ts";
import { intervalChart } from "../../../reports/charts/interval-chart.ts";
import { scatterChart } from "../../../reports/charts/scatter-chart.ts";
import { cellRows } from "../../../reports/view/cells.ts";
import { fatesView } from "../../../reports/view/fates.ts";
import type { CurvesView } from "../../../reports/view/loss-curves.ts";
import { persistence, twoExpansions } from "../small-run.ts";

const drawing = new Drawing();
const widths = [326, 576];
const curves: CurvesView = {
  series: [
    {
      label: "grown",
      colour: "persisted",
      dash: null,
      points: [
        [0, 9],
        [100, 5],
        [200, 4],
      ],
      end: "4.00",
    },
    {
      label: "from scratch",
      colour: "drifted",
      dash: "1 3",
      points: [
        [0, 9],
        [200, 4.05],
      ],
      end: "4.05",
    },
  ],
  moments: [{ x: 100, label: "64 → 96 wide, exact", note: "max |Δlogit| 6.0·10⁻⁶" }],
  reference: { y: 6, label: "unigram entropy 6.00" },
};
const charts: Readonly<Record<string, (width: number) => string>> = {
  flow: (width) => flowChart(drawing, fatesView(twoExpansions())!, width),
  cells: (width) => intervalChart(drawing, cellRows(persistence())!, width, { label: "Cells" }),
  curves: (width) =>
    curvesChart(drawing, curves, width, { label: "Loss", axis: "tokens", headroom: 0.3 }),
  histogram: (width) =>
    histogramChart(
      drawing,
      {
        edges: [0, 0.25, 0.5, 0.75, 1],
        bars: [0.1, 0.2, 0.3, 0.4],
        barsLabel: "carried",
        line: [0.4, 0.3, 0.2, 0.1],
        lineLabel: "fresh",
        behind: [1, 0, 0, 0],
        behindLabel: "null",
        threshold: 0.5,
        nullP99: 0.1,
      },
      width,
      { label: "Correlation", axis: "r", bars: "persisted", line: "born" },
    ),
  scatter: (width) =>
    scatterChart(
      drawing,
      {
        groups: [{ label: "Persisted", colour: "persisted", points: [[0.9, 0.95]] }],
        cosine: 0.7,
        correlation: 0.5,
      },
      width,
    ),
  heads: () =>
    headGridChart(drawing, {
      kind: "induction",
      label: "Induction",
      grids: [{ stage: "00 base", scores: [[0.1, 0.6]], nulls: [[0.05, 0.05]] }],
      best: "00 base: head 0.1 at 0.60 (null 0.05)",
    }),
};

for (const [name, draw] of Object.entries(charts)) {
  for (const width of widths) {
    test(`the ${name} chart at ${width} is as it was`, async () => {
      await expect(lines(draw(width))).toMatchFileSnapshot(`./snapshots/${name}-${width}.svg`);
    });
  }

  test(`the ${name} chart says in words what it shows, and asks for no style or request`, () => {
    const svg = draw(326);
    expect(svg).toMatch(/^<svg [^>]*role="img" aria-label="[^"]{20,}"/);
    expect(svg).not.toMatch(/style=|href=|url\(|<style|<script/);
    expect(svg.replace('xmlns="http://www.w3.org/2000/svg"', "")).not.toContain("http");
    expect(svg).not.toMatch(/NaN|Infinity|undefined|\bnull["<,]/);
  });

  test(`the ${name} chart is the same each time it is drawn`, () => {
    expect(draw(326)).toBe(draw(326));
  });
}

test("text is set as text, whatever it holds", () => {
  const svg = drawing.svg(10, 10, '"><script>', (mark) => {
    mark.add("text", {}, "</text><script>alert(1)</script>");
  });
  expect(svg).toContain('aria-label="&quot;><script>"');
  expect(svg).toContain("<text>&lt;/text&gt;&lt;script&gt;alert(1)&lt;/script&gt;</text>");
});

test("coordinates are rounded to hundredths, without a negative zero", () => {
  expect([round(1.23456), Object.is(round(-0.001), 0)]).toEqual([1.23, true]);
  expect(
    path(
      [
        [0, 1.006],
        [2, 3],
      ],
      true,
    ),
  ).toBe("M0,1.01L2,3Z");
});

/** One element a line, so that a changed snapshot shows what changed. */
function lines(svg: string): string {
  return `${svg.replaceAll("><", ">\n<")}\n`;
}
