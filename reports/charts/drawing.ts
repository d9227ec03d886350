/**
 * Where every chart of a report is drawn: one D3Node (a DOM of its own costs 9 ms, a drawing half a
 * millisecond), numbers rounded in one place so that the same data gives the same bytes, text only
 * ever set as text. Colours are custom properties of the page's style sheet, so one drawing serves
 * the light and the dark page.
 */
import { D3Node, type NodeSelection } from "d3-node";

/** Attributes of an element; undefined leaves one out. */
export type Attributes = Readonly<Record<string, string | number | undefined>>;

/** An element that others can be put into. */
export interface Mark {
  /** Appends `tag` and returns it. */
  add(tag: string, attributes?: Attributes, text?: string): Mark;
}

/** Draws SVGs one after the other. */
export class Drawing {
  readonly #node: D3Node = new D3Node();

  /**
   * An SVG of width × height units as markup; `label` says in words what it shows. It fills its place,
   * or keeps its size where `isFixed`.
   */
  svg(
    width: number,
    height: number,
    label: string,
    paint: (svg: Mark) => void,
    isFixed: boolean = false,
  ): string {
    const node = this.#node;
    node.d3Element.html("");
    // d3-node leaves out sizes of zero: the view box alone lets a drawing fill its place
    const svg = node.createSVG(isFixed ? width : 0, isFixed ? height : 0, {
      viewBox: `0 0 ${width} ${height}`,
      role: "img",
      "aria-label": label,
      class: "chart",
    });
    paint(markOf(svg));
    return node.svgString();
  }
}

/** `--<name>` of the style sheet. */
export function colour(name: string): string {
  return `var(--${name})`;
}

/** "M0,0L1.5,2" through the points; coordinates rounded. */
export function path(
  points: readonly (readonly [number, number])[],
  closed: boolean = false,
): string {
  const steps = points.map(([x, y], i) => `${i === 0 ? "M" : "L"}${round(x)},${round(y)}`);
  return `${steps.join("")}${closed && steps.length > 0 ? "Z" : ""}`;
}

/** Two decimals: a hundredth of a unit is below what a screen shows. */
export function round(value: number): number {
  return Math.round(value * 100) / 100 + 0;
}

/** An estimate of a text's width in units, for want of a layout engine: 0.54 em a character. */
export function textWidth(text: string, size: number = 12): number {
  return Array.from(text).length * size * 0.54;
}

function markOf(selection: NodeSelection): Mark {
  return {
    add(tag, attributes = {}, text) {
      const child = selection.append(tag);
      for (const [name, value] of Object.entries(attributes)) {
        if (value === undefined) continue;
        child.attr(name, typeof value === "number" ? round(value) : value);
      }
      if (text !== undefined) child.text(text);
      return markOf(child);
    },
  };
}
