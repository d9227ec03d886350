/** A chart in a card: heading, a line on how to read it, and the drawing at the widths that the page needs. */
import { type Content, html, Markup } from "../page/html.ts";

/** Widths that charts are drawn at, so that their text stays readable: a phone's, a card's, the page's. */
export const widths: { readonly phone: number; readonly card: number; readonly page: number } = {
  phone: 326,
  card: 576,
  page: 1170,
};

export interface FigureOptions {
  readonly title: string;
  /** How to read it, in one sentence. */
  readonly caption: Content;
  /** Draws at a width in units. */
  readonly draw: (width: number) => string;
  /** The stage it belongs to; undefined = the whole run. */
  readonly stage?: string;
  readonly isShown?: boolean;
  /** Over the whole width of the page. */
  readonly isWide?: boolean;
  /** Under the drawing. */
  readonly after?: Content;
  /** Beside the title, e.g. a switch. */
  readonly controls?: Content;
}

/** The card. */
export function figure(options: FigureOptions): Markup {
  const { title, caption, stage, isShown = true, isWide = false, after, controls } = options;
  return html`<figure class="card${isWide ? " wide" : ""}${stage !== undefined && isShown ? " shown" : ""}"${stageAttribute(stage)}>
<figcaption><div class="row"><h3>${title}</h3>${controls}</div><p>${caption}</p></figcaption>
${drawings(options.draw, isWide)}${after}
</figure>`;
}

/** One drawing at each width; the style sheet shows the one that fits. */
export function drawings(draw: (width: number) => string, isWide: boolean = false): Markup {
  const sizes = isWide
    ? ([
        ["at-phone", widths.phone],
        ["at-tablet", widths.card],
        ["at-page", widths.page],
      ] as const)
    : ([
        ["at-phone", widths.phone],
        ["at-card", widths.card],
      ] as const);
  return html`${sizes.map(([name, width]) => html`<div class="${name}">${new Markup(draw(width))}</div>`)}`;
}

/** ` data-stage="…"`, which the page's script shows and hides by. */
export function stageAttribute(stage: string | undefined): Markup | null {
  return stage === undefined ? null : html` data-stage="${stage}"`;
}
