/**
 * Feature fates as a flow from left to right (after Sankey): one column per stage, blocks as tall as
 * their latents, bands between them. A block whose latents all end there has no band to its right.
 */
import type { FateNode, FatesView } from "../view/fates.ts";
import { count } from "../view/format.ts";
import { colour, type Drawing, type Mark, round } from "./drawing.ts";

interface Block extends FateNode {
  readonly x: number;
  readonly y: number;
  readonly height: number;
}

const bar = 13;
const fewest = 2; // units a block is tall at least

/** The flow, `width` units wide. */
export function flowChart(drawing: Drawing, view: FatesView, width: number): string {
  const isNarrow = width < 500;
  const height = isNarrow ? 420 : 340;
  const top = 26;
  const gap = isNarrow ? 12 : 9;
  const columns = view.columns.length;
  const rightLabels = isNarrow ? 124 : 190;
  const span = width - rightLabels - bar;
  const x = (column: number): number => (span * column) / (columns - 1);
  const unit = Math.min(
    ...view.columns.map((_, column) => {
      const own = view.nodes.filter((node) => node.column === column);
      const total = own.reduce((sum, node) => sum + size(node), 0);
      return (height - top - 8 - gap * (own.length - 1) - fewest * own.length) / Math.max(1, total);
    }),
  );
  const blocks = view.columns.flatMap((_, column) => stack(view, column, x(column)));
  return drawing.svg(width, height, describe(view), (svg) => {
    for (const [column, { label }] of view.columns.entries()) {
      svg.add(
        "text",
        {
          x: x(column) + (column === 0 ? 0 : bar),
          y: 12,
          class: "sub",
          "text-anchor": column === 0 ? "start" : "end",
        },
        label,
      );
    }
    const leaving = new Map<string, number>();
    const arriving = new Map<string, number>();
    const bands = svg.add("g", { class: "bands" });
    for (const link of view.links) {
      const from = blocks.find((b) => b.column === link.column && b.key === link.from);
      const to = blocks.find((b) => b.column === link.column + 1 && b.key === link.to);
      if (!from || !to) continue;
      const thickness = link.count * unit;
      const out = `${link.column}/${link.from}`;
      const into = `${link.column + 1}/${link.to}`;
      const y0 = from.y + (leaving.get(out) ?? 0);
      const y1 = to.y + (arriving.get(into) ?? 0);
      leaving.set(out, (leaving.get(out) ?? 0) + thickness);
      arriving.set(into, (arriving.get(into) ?? 0) + thickness);
      bands
        .add("path", {
          d: band(from.x + bar, y0, to.x, y1, thickness),
          fill: colour(to.colour),
          opacity: 0.36,
        })
        .add("title", {}, `${from.label} → ${to.label}: ${count(link.count)}`);
    }
    for (const block of blocks) {
      svg
        .add("rect", {
          x: block.x,
          y: block.y,
          width: bar,
          height: block.height,
          rx: 2,
          fill: colour(block.colour),
        })
        .add("title", {}, `${block.label}: ${count(size(block))}`);
    }
    for (const [column] of view.columns.entries()) {
      labels(
        svg,
        blocks.filter((block) => block.column === column),
        column,
      );
    }
  });

  function stack({ nodes }: FatesView, column: number, left: number): Block[] {
    let y = top;
    return nodes
      .filter((node) => node.column === column)
      .map((node) => {
        const block = { ...node, x: left, y, height: size(node) * unit + fewest };
        y += block.height + gap;
        return block;
      });
  }

  function labels(svg: Mark, own: readonly Block[], column: number): void {
    const isLast = column === columns - 1;
    if (column === 0) {
      for (const block of own) {
        svg.add(
          "text",
          { x: block.x + bar + 7, y: block.y + 16, class: "halo num" },
          `${count(block.count)}${isNarrow ? "" : " latents"}`,
        );
      }
      return;
    }
    let below = 0;
    for (const block of own) {
      // labels of thin blocks are pushed apart
      const y = Math.max(block.y + block.height / 2 + 4, below);
      below = y + 15;
      const number = count(size(block));
      const right = block.x + bar + 7;
      if (isLast) {
        const [numberEnd, labelStart] = isNarrow ? [right + 24, right + 29] : [width, right];
        svg.add(
          "text",
          { x: labelStart, y, class: isNarrow ? "s" : "lab" },
          isNarrow ? block.short : block.label,
        );
        svg.add("text", { x: numberEnd, y, class: "num s", "text-anchor": "end" }, number);
      } else if (isNarrow) {
        if (block.height > 11) svg.add("text", { x: right, y, class: "halo num s" }, number);
      } else {
        svg.add("text", { x: right, y, class: "halo s" }, `${block.label} ${number}`);
      }
    }
  }
}

/** Latents a block stands for: what came or what goes on, whichever is more. */
function size({ count: n, leaving }: FateNode): number {
  return Math.max(n, leaving);
}

function band(x0: number, y0: number, x1: number, y1: number, thickness: number): string {
  const middle = round((x0 + x1) / 2);
  const [a, b, c, d] = [y0, y1, y1 + thickness, y0 + thickness].map(round);
  const [left, right] = [round(x0), round(x1)];
  return `M${left},${a}C${middle},${a} ${middle},${b} ${right},${b}V${c}C${middle},${c} ${middle},${d} ${left},${d}Z`;
}

function describe({ columns, nodes }: FatesView): string {
  const of = (column: number): string =>
    nodes
      .filter((node) => node.column === column)
      .map((node) => `${node.label.toLowerCase()} ${count(size(node))}`)
      .join(", ");
  return `Feature fates. ${columns.map(({ label }, column) => `${label}: ${of(column)}`).join(". ")}.`;
}
