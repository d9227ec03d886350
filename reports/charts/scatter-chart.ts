/**
 * Points by verdict over cosine and correlation, with both thresholds. Each verdict is one path of
 * zero-length strokes with round ends: a few bytes a point.
 */
import type { EvidenceView } from "../view/evidence-points.ts";
import { decimal } from "../view/format.ts";
import { colour, type Drawing, round } from "./drawing.ts";

/** The chart, `width` units wide. */
export function scatterChart(drawing: Drawing, view: EvidenceView, width: number): string {
  const isNarrow = width < 440;
  const height = isNarrow ? 270 : 300;
  const [left, right] = [34, width - 6];
  const [top, bottom] = [10, height - 34];
  const cosines = view.groups.flatMap(({ points }) => points.map(([cosine]) => cosine));
  const low = Math.max(-1, Math.min(0, Math.floor(Math.min(...cosines) * 4) / 4));
  const step = 1 - low > 1.25 ? 0.5 : 0.25;
  const x = (value: number): number => left + ((right - left) * (value - low)) / (1 - low);
  const y = (value: number): number => bottom - (bottom - top) * Math.max(0, Math.min(1, value));
  return drawing.svg(width, height, describe(view), (svg) => {
    for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
      svg.add("line", { x1: left, x2: right, y1: y(tick), y2: y(tick), class: "grid" });
      svg.add(
        "text",
        { x: left - 7, y: y(tick) + 4, "text-anchor": "end", class: "sub num" },
        String(tick),
      );
    }
    for (let tick = Math.ceil(low / step) * step; tick <= 1 + 1e-9; tick += step) {
      const anchor = tick > 0.98 ? "end" : "middle";
      svg.add(
        "text",
        { x: x(tick), y: bottom + 16, "text-anchor": anchor, class: "sub num" },
        decimal(tick),
      );
    }
    svg.add("line", { x1: x(view.cosine), x2: x(view.cosine), y1: top, y2: bottom, class: "mark" });
    svg.add("line", {
      x1: left,
      x2: right,
      y1: y(view.correlation),
      y2: y(view.correlation),
      class: "mark",
    });
    for (const { label, colour: name, points } of view.groups) {
      const g = svg.add("g");
      g.add("title", {}, `${label}: ${points.length}`);
      g.add("path", {
        d: points.map(([cosine, r]) => `M${tenth(x(cosine))},${tenth(y(r))}h0`).join(""),
        stroke: colour(name),
        "stroke-width": isNarrow ? 4 : 4.6,
        "stroke-linecap": "round",
        opacity: 0.72,
      });
    }
    const corner = (text: string, at: number, baseline: number, anchor: string): void => {
      svg.add("text", { x: at, y: baseline, "text-anchor": anchor, class: "halo sub" }, text);
    };
    corner("function without direction", left + 6, top + 13, "start");
    corner("direction only", right - 5, bottom - 7, "end");
    svg.add(
      "text",
      { x: right, y: height - 3, "text-anchor": "end", class: "sub" },
      "cosine to the mapped parent →",
    );
    svg.add("text", { x: left - 30, y: height - 3, class: "sub" }, "↑ best correlation");
  });
}

function tenth(value: number): number {
  return round(Math.round(value * 10) / 10);
}

function describe({ groups, cosine, correlation }: EvidenceView): string {
  const counts = groups.map(({ label, points }) => `${label.toLowerCase()} ${points.length}`);
  return `Cosine and correlation of each feature with its best match, thresholds ${decimal(cosine)} and ${decimal(correlation)}: ${counts.join(", ")}.`;
}
