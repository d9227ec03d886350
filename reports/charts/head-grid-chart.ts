/**
 * Head scores as small grids, one per stage below the other: layers from the bottom up, heads from left
 * to right, darker where the score is further above the same head's null.
 */
import { decimal } from "../view/format.ts";
import type { HeadGrid, HeadGridRow } from "../view/head-grids.ts";
import { colour, type Drawing, type Mark } from "./drawing.ts";

const most = 340; // units that a row of heads may take
const rowHeight = 19;
const leftMargin = 20;

/** The grids of one kind of score, in their own size. */
export function headGridChart(drawing: Drawing, row: HeadGridRow): string {
  const heads = Math.max(1, ...row.grids.flatMap(({ scores }) => scores.map((own) => own.length)));
  const cellWidth = Math.max(6, Math.min(31, Math.floor(most / heads)));
  const heights = row.grids.map(({ scores }) => 17 + scores.length * rowHeight + 18);
  const width = leftMargin + heads * cellWidth;
  const height = heights.reduce((sum, own) => sum + own, 0);
  return drawing.svg(
    width,
    height,
    `${row.label} scores of the heads. ${row.best}.`,
    (svg) => {
      let top = 0;
      row.grids.forEach((grid, i) => {
        drawGrid(svg, grid, top, cellWidth);
        top += heights[i];
      });
    },
    true,
  );
}

function drawGrid(svg: Mark, { stage, scores, nulls }: HeadGrid, top: number, width: number): void {
  svg.add("text", { x: leftMargin, y: top + 11, class: "sub" }, stage);
  const first = top + 17;
  scores.forEach((heads, layer) => {
    const y = first + (scores.length - 1 - layer) * rowHeight;
    svg.add(
      "text",
      { x: leftMargin - 6, y: y + 13, "text-anchor": "end", class: "sub num" },
      String(layer),
    );
    heads.forEach((score, head) => {
      const chance = nulls[layer]?.[head];
      const x = leftMargin + head * width;
      const above = Math.max(0, Math.min(1, score - (chance ?? 0)));
      const box = { x, y, width: width - 2, height: rowHeight - 2, rx: Math.min(3, width / 4) };
      const g = svg.add("g");
      g.add(
        "title",
        {},
        `${stage}, head ${layer}.${head}: ${decimal(score)}, null ${decimal(chance)}`,
      );
      g.add("rect", { ...box, class: "cell" });
      g.add("rect", { ...box, fill: colour("persisted"), opacity: 0.9 * Math.sqrt(above) });
      if (width < 26) return;
      g.add(
        "text",
        {
          x: x + (width - 2) / 2,
          y: y + 12.5,
          "text-anchor": "middle",
          class: above > 0.3 ? "tiny num on" : "tiny num",
        },
        decimal(score).replace(/^0/, ""),
      );
    });
  });
}
