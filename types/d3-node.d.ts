// d3-node 4 brings no types. Only what reports/charts/drawing.ts uses is declared.
declare module "d3-node" {
  /** A d3 selection, as far as it is used here. */
  export interface NodeSelection {
    append(tag: string): NodeSelection;
    attr(name: string, value: string | number): NodeSelection;
    text(value: string): NodeSelection;
    html(value: string): NodeSelection;
  }

  /** A DOM in Node with d3 on top; making one costs about 9 ms. */
  export class D3Node {
    constructor(options?: Readonly<Record<string, unknown>>);
    readonly d3Element: NodeSelection;
    createSVG(
      width: number,
      height: number,
      attributes?: Readonly<Record<string, string>>,
    ): NodeSelection;
    /** The first SVG found. */
    svgString(): string;
  }
}
