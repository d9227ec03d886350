/** @file The figures of docs/study.md: shares by row, a dot for each seed. */
import { Drawing } from "../../reports/charts/drawing.ts";

/** A row of a figure; `ring` is what the dots are compared with. */
export interface FigureRow {
  readonly label: string;
  readonly values: readonly number[];
  readonly ring?: number;
  readonly isMain?: boolean;
}

// Readable on a light and on a dark page.
const [text, dot, grid] = ["#6b7280", "#3b82c4", "#9ca3af"];
const style = `text{font:13px system-ui,sans-serif;fill:${text}}.main{fill:${dot};font-weight:600}line{stroke:${grid};stroke-opacity:.35}circle{fill:${dot};fill-opacity:.75}.ring{fill:none;stroke:${dot};stroke-width:1.5}`;

const [width, left, right, step] = [680, 250, 620, 30];

/** An SVG of shares from 0 to 1, a row each, the mean at its end; rows without a value are left out. */
export function shareFigure(rows: readonly FigureRow[], label: string): string {
  const drawn = rows
    .map((row) => ({ ...row, values: row.values.filter(Number.isFinite) }))
    .filter(({ values }) => values.length > 0);
  const x = (share: number): number => left + (right - left) * share;
  const bottom = drawn.length * step + 6;
  return `${new Drawing().svg(width, bottom + 22, label, (svg) => {
    svg.add("style", {}, style);
    for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
      svg.add("line", { x1: x(tick), x2: x(tick), y1: 2, y2: bottom });
      svg.add("text", { x: x(tick), y: bottom + 16, "text-anchor": "middle" }, String(tick));
    }
    for (const [i, { label, values, ring, isMain }] of drawn.entries()) {
      const y = i * step + 18;
      const kind = isMain ? "main" : undefined;
      svg.add("text", { x: 0, y: y + 4, class: kind }, label);
      if (ring !== undefined) svg.add("circle", { cx: x(ring), cy: y, r: 5, class: "ring" });
      for (const value of values) svg.add("circle", { cx: x(value), cy: y, r: 4 });
      const mean = values.reduce((sum, value) => sum + value / values.length, 0);
      svg.add("text", { x: width, y: y + 4, "text-anchor": "end", class: kind }, mean.toFixed(2));
    }
  })}\n`;
}
