/** A histogram over its null: bars for what is studied, a step line for the control, a pale area for the null, τ marked. */
import { decimal, percent } from "../view/format.ts";
import type { HistogramView } from "../view/histograms.ts";
import { colour, type Drawing, path, textWidth } from "./drawing.ts";

export interface HistogramChartOptions {
  readonly label: string;
  readonly axis: string;
  /** Colours of the bars and of the line. */
  readonly bars: string;
  readonly line: string;
}

/** The chart, `width` units wide. The null may run off the top: it is concentrated, and its place is what matters. */
export function histogramChart(
  drawing: Drawing,
  view: HistogramView,
  width: number,
  options: HistogramChartOptions,
): string {
  const { edges, bars, line, behind, threshold } = view;
  const isNarrow = width < 440;
  const height = isNarrow ? 200 : 220;
  const [top, bottom] = [40, height - 34];
  const [left, right] = [4, width - 4];
  const [low, high] = [edges[0], edges[edges.length - 1]];
  const x = (value: number): number => left + ((right - left) * (value - low)) / (high - low);
  const most = Math.max(...bars, ...(line ?? []), 1e-9);
  const y = (share: number): number => bottom - (bottom - top) * Math.min(1, share / (most * 1.02));
  const outline = (shares: readonly number[]): (readonly [number, number])[] =>
    shares.flatMap((share, bin) => [
      [x(edges[bin]), y(share)] as const,
      [x(edges[bin + 1]), y(share)] as const,
    ]);
  return drawing.svg(width, height, `${options.label}. ${inWords(view)}`, (svg) => {
    if (behind) {
      svg.add("path", {
        d: path([[left, bottom], ...outline(behind), [right, bottom]], true),
        fill: colour("died"),
        opacity: 0.15,
      });
    }
    bars.forEach((share, bin) => {
      if (share === 0) return;
      svg
        .add("rect", {
          x: x(edges[bin]) + 0.75,
          y: y(share),
          width: x(edges[bin + 1]) - x(edges[bin]) - 1.5,
          height: bottom - y(share),
          fill: colour(options.bars),
          opacity: 0.6,
        })
        .add(
          "title",
          {},
          `${decimal(edges[bin])} to ${decimal(edges[bin + 1])}: ${percent(share)} of ${view.barsLabel}`,
        );
    });
    if (line) {
      svg.add("path", {
        d: path(outline(line)),
        fill: "none",
        stroke: colour(options.line),
        "stroke-width": 1.7,
      });
    }
    svg.add("line", { x1: left, x2: right, y1: bottom, y2: bottom, class: "axis" });
    svg.add("line", { x1: x(threshold), x2: x(threshold), y1: top - 6, y2: bottom, class: "mark" });
    const tau = `τ = ${decimal(threshold)}`;
    const flips = x(threshold) + textWidth(tau) + 8 > right;
    svg.add(
      "text",
      {
        x: x(threshold) + (flips ? -6 : 6),
        y: top - 1,
        class: "sub num",
        "text-anchor": flips ? "end" : "start",
      },
      tau,
    );
    legend();
    const step = high - low > 1.2 ? 0.5 : 0.25;
    for (let tick = Math.ceil(low / step) * step; tick <= high + 1e-9; tick += step) {
      const anchor = tick <= low + 0.02 ? "start" : tick >= high - 0.02 ? "end" : "middle";
      svg.add(
        "text",
        { x: x(tick), y: bottom + 15, "text-anchor": anchor, class: "sub num" },
        decimal(tick, step === 0.5 ? 1 : 2),
      );
    }
    svg.add("text", { x: right, y: height - 4, "text-anchor": "end", class: "sub" }, options.axis);

    function legend(): void {
      let at = left;
      const entry = (text: string, swatch: (at: number) => void): void => {
        swatch(at);
        svg.add("text", { x: at + 18, y: 12, class: "sub" }, text);
        at += 18 + textWidth(text, isNarrow ? 11.5 : 12) + 16;
      };
      entry(view.barsLabel, (place) =>
        svg.add("rect", {
          x: place,
          y: 3,
          width: 12,
          height: 9,
          fill: colour(options.bars),
          opacity: 0.6,
        }),
      );
      if (line) {
        entry(view.lineLabel, (place) =>
          svg.add("path", {
            d: path([
              [place, 8],
              [place + 12, 8],
            ]),
            stroke: colour(options.line),
            "stroke-width": 1.7,
          }),
        );
      }
      if (behind && !(isNarrow && line)) {
        entry(view.behindLabel, (place) =>
          svg.add("rect", {
            x: place,
            y: 3,
            width: 12,
            height: 9,
            fill: colour("died"),
            opacity: 0.2,
          }),
        );
      }
    }
  });
}

function inWords({ bars, barsLabel, line, lineLabel, edges, threshold }: HistogramView): string {
  const above = (shares: readonly number[]): string =>
    percent(
      shares.reduce((sum, share, bin) => sum + (edges[bin] >= threshold - 1e-9 ? share : 0), 0),
    );
  return `Above τ = ${decimal(threshold)}: ${barsLabel} ${above(bars)}${line ? `, ${lineLabel} ${above(line)}` : ""}.`;
}
