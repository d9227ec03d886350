/** Small multiples: one row of panels an SAE, each with its own scale of y and all of a row with one of tokens. */
import { scaleLinear, scaleLog } from "d3";
import { compact } from "../view/format.ts";
import type { Panel, SaePanels } from "../view/sae-panels.ts";
import { colour, type Drawing, type Mark, path, textWidth } from "./drawing.ts";

const gap = 26;
const left = 34;
const panelHeight = 118;
const nameHeight = 30;

/** The chart, `width` units wide; on a narrow page the panels of an SAE stand one under the other. */
export function panelsChart(drawing: Drawing, saes: readonly SaePanels[], width: number): string {
  const perRow = width < 440 ? 1 : 3;
  const panelWidth = (width - gap * (perRow - 1)) / perRow;
  const rows = Math.ceil((saes[0]?.panels.length ?? 0) / perRow);
  const block = nameHeight + rows * panelHeight;
  return drawing.svg(width, 18 + saes.length * block, inWords(saes), (svg) => {
    legend(svg, saes);
    for (const [i, { name, panels }] of saes.entries()) {
      const top = 18 + i * block;
      svg.add("text", { x: 0, y: top + 20, class: "s" }, name);
      const most = Math.max(
        ...panels.flatMap(({ series }) => series.flatMap(({ points }) => points.map(([x]) => x))),
      );
      for (const [p, panel] of panels.entries()) {
        const x0 = (p % perRow) * (panelWidth + gap);
        const y0 = top + nameHeight + Math.floor(p / perRow) * panelHeight;
        draw(svg, panel, { x0, y0, width: panelWidth, most });
      }
    }
  });
}

interface Place {
  readonly x0: number;
  readonly y0: number;
  readonly width: number;
  /** Tokens at the right end. */
  readonly most: number;
}

function draw(svg: Mark, { title, log, series }: Panel, { x0, y0, width, most }: Place): void {
  const ends = series.map(({ end }) => end ?? "");
  const room = Math.max(...ends.map((end) => textWidth(end)), 12) + 8;
  const [from, to] = [x0 + left, x0 + width - room];
  const [top, bottom] = [y0 + 16, y0 + panelHeight - 22];
  svg.add("text", { x: x0, y: y0 + 8, class: "sub" }, title);
  const ys = series.flatMap(({ points }) => points.map(([, y]) => y));
  if (ys.length === 0) {
    svg.add("text", { x: from, y: (top + bottom) / 2, class: "sub" }, "not logged");
    return;
  }
  const [low, high] = [Math.min(...ys), Math.max(...ys)];
  const x = scaleLinear([0, most], [from, to]);
  const y = log
    ? scaleLog([low * 0.9, Math.max(high, low * 1.2)], [bottom, top])
    : scaleLinear([0, high > 0 ? high : 1], [bottom, top]);
  for (const tick of ticksOf(y, low, high, log)) {
    svg.add("line", { x1: from, x2: to, y1: y(tick), y2: y(tick), class: "grid" });
    const label = { x: from - 5, y: y(tick) + 4, "text-anchor": "end", class: "sub num" };
    svg.add(
      "text",
      label,
      title === "dead latents" ? `${Math.round(100 * tick)}%` : String(Number(tick.toPrecision(2))),
    );
  }
  for (const tick of x.ticks(2)) {
    const label = { x: x(tick), y: bottom + 15, "text-anchor": "middle", class: "sub num" };
    svg.add("text", label, compact(tick));
  }
  for (const { points, colour: name, dash, label } of series) {
    const g = svg.add("g");
    g.add("title", {}, label);
    g.add("path", {
      d: path(points.map(([px, py]) => [x(px), y(py)])),
      fill: "none",
      stroke: colour(name),
      "stroke-width": 1.6,
      "stroke-linejoin": "round",
      "stroke-dasharray": dash ?? undefined,
    });
  }
  // the figure of the last curve, the carried SAE's: the others' are in the table of SAEs
  const last = series[series.length - 1];
  const [endX, endY] = last.points[last.points.length - 1];
  const at = { x: x(endX) + 5, y: Math.min(bottom, y(endY) + 4) };
  svg.add("text", { ...at, class: "halo s num", fill: colour(last.colour) }, last.end ?? "");
}

function ticksOf(
  scale: { ticks(count: number): number[] },
  low: number,
  high: number,
  log: boolean,
): number[] {
  if (!log) return scale.ticks(2);
  const ticks = [0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1].filter(
    (tick) => tick >= low * 0.9 && tick <= high,
  );
  return ticks.length > 0 ? ticks : [low];
}

function legend(svg: Mark, saes: readonly SaePanels[]): void {
  const seen = new Map(
    saes.flatMap(({ panels }) =>
      panels.flatMap(({ series }) => series.map((s) => [s.label, s] as const)),
    ),
  );
  let at = 0;
  for (const { label, colour: name, dash } of [...seen.values()].reverse()) {
    svg.add("line", {
      x1: at,
      x2: at + 16,
      y1: 9,
      y2: 9,
      stroke: colour(name),
      "stroke-width": 2,
      "stroke-dasharray": dash ?? undefined,
    });
    svg.add("text", { x: at + 21, y: 13, class: "sub" }, label);
    at += 21 + textWidth(label) + 14;
  }
}

function inWords(saes: readonly SaePanels[]): string {
  const ends = saes.map(({ name, panels }) => {
    const own = panels.flatMap(({ title, series }) => {
      const end = series.at(-1)?.end;
      return end ? [`${title} ${end}`] : [];
    });
    return `${name}: ${own.join(", ")}`;
  });
  return `SAEs in training. ${ends.join("; ")}`;
}
