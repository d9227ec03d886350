/** Points with intervals on one axis of shares, a row each; a bar shows what was gained over a floor and, hollow, what could have been. */
import { decimal } from "../view/format.ts";
import type { IntervalRow } from "../view/interval-rows.ts";
import { colour, type Drawing, round } from "./drawing.ts";

export interface IntervalChartOptions {
  /** In words, for people who don't see it. */
  readonly label: string;
  readonly ticks?: readonly number[];
}

/** The chart, `width` units wide; the axis grows to hold every value. */
export function intervalChart(
  drawing: Drawing,
  rows: readonly IntervalRow[],
  width: number,
  { label, ticks }: IntervalChartOptions,
): string {
  const isNarrow = width < 440;
  const step = isNarrow ? 40 : 33;
  const labels = isNarrow ? 0 : 248;
  const left = labels + 6;
  const right = width - 38;
  const values = rows.flatMap(({ value, ci, to }) => [value, ...(ci ?? []), to ?? value]);
  const low = Math.min(0, Math.floor(Math.min(...values) * 4) / 4);
  const high = Math.max(1, Math.ceil(Math.max(...values) * 4) / 4);
  const x = (share: number): number => left + ((right - left) * (share - low)) / (high - low);
  const marks = ticks ?? quarterTicks(low, high);
  const height = rows.length * step + 26;
  const bottom = rows.length * step + 4;
  return drawing.svg(width, height, `${label}: ${inWords(rows)}`, (svg) => {
    for (const tick of marks) {
      svg.add("line", { x1: x(tick), x2: x(tick), y1: 2, y2: bottom, class: "grid" });
      svg.add(
        "text",
        { x: x(tick), y: bottom + 15, "text-anchor": "middle", class: "sub num" },
        String(round(tick)).replace("-", "−"),
      );
    }
    rows.forEach((row, i) => {
      const y = i * step + (isNarrow ? 27 : 18);
      const g = svg.add("g", { "aria-label": describe(row) });
      g.add("title", {}, describe(row));
      const text = isNarrow ? { x: left, y: y - 11 } : { x: 0, y: y + 4.5 };
      g.add(
        "text",
        { ...text, class: row.isMain ? "lab" : "lab dim" },
        isNarrow ? row.short : row.label,
      );
      if (row.code && !isNarrow) {
        g.add(
          "text",
          { x: labels - 8, y: y + 4.5, "text-anchor": "end", class: "sub code" },
          row.code,
        );
      }
      if (row.from !== null && row.to !== null) {
        g.add("rect", {
          x: x(Math.min(row.from, row.to)),
          y: y - 4,
          width: Math.abs(x(row.to) - x(row.from)),
          height: 8,
          rx: 4,
          fill: colour(row.colour),
          opacity: 0.13,
        });
      }
      if (row.from !== null) {
        g.add("rect", {
          x: x(Math.min(row.from, row.value)),
          y: y - 4,
          width: Math.abs(x(row.value) - x(row.from)),
          height: 8,
          rx: 4,
          fill: colour(row.colour),
          opacity: 0.33,
        });
      }
      if (row.ci) {
        g.add("line", {
          x1: x(row.ci[0]),
          x2: x(row.ci[1]),
          y1: y,
          y2: y,
          stroke: colour(row.colour),
          "stroke-width": 2.5,
          "stroke-linecap": "round",
        });
      }
      if (row.secondary !== null) {
        g.add("circle", {
          cx: x(row.secondary),
          cy: y,
          r: 3.4,
          fill: "none",
          stroke: colour(row.colour),
          "stroke-width": 1.4,
        });
      }
      g.add("circle", { cx: x(row.value), cy: y, r: 5, fill: colour(row.colour) });
      g.add(
        "text",
        { x: width, y: y + 4.5, "text-anchor": "end", class: row.isMain ? "num strong" : "num" },
        decimal(row.value),
      );
    });
  });
}

function quarterTicks(low: number, high: number): number[] {
  const step = high - low > 1.5 ? 0.5 : 0.25;
  const ticks: number[] = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + 1e-9; tick += step) ticks.push(tick);
  return ticks;
}

function describe({ label, code, value, ci, secondary }: IntervalRow): string {
  const range = ci ? `, 95% ${decimal(ci[0])} to ${decimal(ci[1])}` : "";
  const ring = secondary === null ? "" : `; with a match at τ ${decimal(secondary)}`;
  return `${label}${code ? ` (${code})` : ""}: ${decimal(value)}${range}${ring}`;
}

function inWords(rows: readonly IntervalRow[]): string {
  return rows.map(({ label, value }) => `${label} ${decimal(value)}`).join("; ");
}
