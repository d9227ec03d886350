/** Curves over an amount of training, with vertical marks, a horizontal reference, and each curve's name at its end. */
import { scaleLinear, scaleLog } from "d3";
import { compact, decimal } from "../view/format.ts";
import type { CurvesView } from "../view/loss-curves.ts";
import { colour, type Drawing, type Mark, path, textWidth } from "./drawing.ts";

export interface CurvesChartOptions {
  readonly label: string;
  /** What the axis counts, e.g. "tokens". */
  readonly axis: string;
  readonly log?: boolean;
  /** Values above the reference by more than this are cut off: the first steps say nothing. */
  readonly headroom?: number;
}

/** The chart, `width` units wide. */
export function curvesChart(
  drawing: Drawing,
  view: CurvesView,
  width: number,
  { label, axis, log = false, headroom }: CurvesChartOptions,
): string {
  const isNarrow = width < 440;
  const height = isNarrow ? 244 : 262;
  const named = view.series.filter(({ end }) => end !== null);
  const ends = named.map(({ label: name, end }) => (isNarrow ? end : `${name} ${end}`) as string);
  const room = Math.max(...ends.map((end) => textWidth(end)), 20) + 10;
  const [left, right] = [isNarrow ? 28 : 34, width - room];
  const [top, bottom] = [isNarrow ? 40 : 14, height - 34];
  const all = view.series.flatMap(({ points }) => points);
  const ys = all.map(([, y]) => y).concat(view.reference ? [view.reference.y] : []);
  const lowest = Math.min(...ys);
  const highest =
    headroom !== undefined && view.reference
      ? Math.min(Math.max(...ys), view.reference.y + headroom)
      : Math.max(...ys);
  const most = Math.max(...all.map(([x]) => x));
  const x = scaleLinear([0, most], [left, right]);
  const margin = (highest - lowest) * 0.06;
  const y = log
    ? scaleLog([lowest * 0.85, highest], [bottom, top])
    : scaleLinear([lowest - margin, highest], [bottom, top]);
  return drawing.svg(width, height, `${label}. ${inWords(view)}`, (svg) => {
    for (const tick of log ? logTicks(lowest, highest) : y.ticks(4)) {
      svg.add("line", { x1: left, x2: right, y1: y(tick), y2: y(tick), class: "grid" });
      svg.add(
        "text",
        { x: left - 6, y: y(tick) + 4, "text-anchor": "end", class: "sub num" },
        tickLabel(tick, log),
      );
    }
    for (const tick of x.ticks(isNarrow ? 3 : 5)) {
      svg.add(
        "text",
        { x: x(tick), y: bottom + 16, "text-anchor": "middle", class: "sub num" },
        compact(tick),
      );
    }
    svg.add("text", { x: right, y: height - 3, "text-anchor": "end", class: "sub" }, axis);
    if (isNarrow) legend(svg);
    moments(svg);
    if (view.reference) {
      const at = y(view.reference.y);
      svg.add("line", { x1: left, x2: right, y1: at, y2: at, class: "reference" });
      // curves come from the upper left: above them the right is free, below them the left
      const isHigh = at < (top + bottom) / 2;
      svg.add(
        "text",
        {
          x: isHigh ? right : left + 4,
          y: at - 5,
          "text-anchor": isHigh ? "end" : "start",
          class: "halo sub num",
        },
        view.reference.label,
      );
    }
    for (const { points, colour: name, dash, label: series } of view.series) {
      const visible = belowCeiling(points, highest);
      if (visible.length === 0) continue;
      const g = svg.add("g");
      g.add("title", {}, series);
      g.add("path", {
        d: path(visible.map(([px, py]) => [x(px), y(py)])),
        fill: "none",
        stroke: colour(name),
        "stroke-width": 2,
        "stroke-linejoin": "round",
        "stroke-dasharray": dash ?? undefined,
      });
    }
    for (const { text, at, name } of endLabels()) {
      svg.add("text", { x: right + 7, y: at, class: "s num", fill: colour(name) }, text);
    }
  });

  /** Vertical marks with their words, each a line lower than the last so that they don't meet. */
  function moments(svg: Mark): void {
    const reference = view.reference ? y(view.reference.y) : top;
    let baseline = (reference < (top + bottom) / 2 ? reference : top) + 18;
    for (const { x: value, label: text, note } of view.moments) {
      const at = x(value);
      svg.add("line", { x1: at, x2: at, y1: top, y2: bottom, class: "moment" });
      const flips = at + textWidth(text) + 8 > width && at - textWidth(text) - 8 > left;
      const anchor = { x: at + (flips ? -6 : 6), "text-anchor": flips ? "end" : "start" };
      svg.add("text", { ...anchor, y: baseline, class: "halo s" }, text);
      const hasNote = note !== "" && !isNarrow;
      if (hasNote) {
        svg.add("text", { ...anchor, y: baseline + 14, class: "halo sub num" }, note);
      }
      baseline += hasNote ? 34 : 18;
    }
  }

  /** The names of the curves, where there is no room for them at the ends. */
  function legend(svg: Mark): void {
    let at = 0;
    let line = 9;
    for (const { label: name, colour: own, dash } of named) {
      if (at > 0 && at + 21 + textWidth(name) > width) {
        at = 0;
        line += 17;
      }
      svg.add("line", {
        x1: at,
        x2: at + 16,
        y1: line,
        y2: line,
        stroke: colour(own),
        "stroke-width": 2,
        "stroke-dasharray": dash ?? undefined,
      });
      svg.add("text", { x: at + 21, y: line + 4, class: "sub" }, name);
      at += 21 + textWidth(name) + 14;
    }
  }

  /** What stands at the ends of the curves, pushed apart where it would touch. */
  function endLabels(): { text: string; at: number; name: string }[] {
    const labels = named
      .map(({ points, colour: name }, i) => ({
        text: ends[i],
        at: y(Math.min(points[points.length - 1][1], highest)) + 4,
        name,
      }))
      .sort((a, b) => a.at - b.at);
    const gap = 14;
    for (let i = 1; i < labels.length; i++) {
      labels[i].at = Math.max(labels[i].at, labels[i - 1].at + gap);
    }
    const over = (labels.at(-1)?.at ?? 0) - bottom;
    if (over > 0) for (const entry of labels) entry.at -= over;
    return labels;
  }
}

/** 1, 2 and 5 times the powers of ten between two numbers. */
function logTicks(low: number, high: number): number[] {
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const digit of [1, 2, 5]) {
      const tick = digit * 10 ** power;
      if (tick >= low * 0.85 && tick <= high) ticks.push(tick);
    }
  }
  return ticks;
}

function tickLabel(tick: number, log: boolean): string {
  if (log) return String(Number(tick.toPrecision(1)));
  return decimal(tick, Number.isInteger(tick) ? 0 : 1);
}

/** The part of a curve that is not above `ceiling`, entering where it crosses it. */
function belowCeiling(
  points: readonly (readonly [number, number])[],
  ceiling: number,
): (readonly [number, number])[] {
  const first = points.findIndex(([, y]) => y <= ceiling);
  if (first <= 0) return first < 0 ? [] : [...points];
  const [[x0, y0], [x1, y1]] = [points[first - 1], points[first]];
  const entry = [x0 + ((x1 - x0) * (y0 - ceiling)) / (y0 - y1), ceiling] as const;
  return [entry, ...points.slice(first)];
}

function inWords({ series, moments, reference }: CurvesView): string {
  const ends = series.flatMap(({ label, end }) => (end === null ? [] : [`${label} ${end}`]));
  const marks = moments.map(({ x, label }) => `${label} at ${compact(x)}`);
  return [...ends, ...marks, ...(reference ? [reference.label] : [])].join("; ");
}
