/** The first screen of a stage: verdict, alarms, headline numbers, caveats. */
import { html, type Markup } from "../page/html.ts";
import type { RunData } from "../run-data.ts";
import { plural } from "../view/format.ts";
import { meaningOf } from "../view/glossary.ts";
import { stageTiles, type Tile } from "../view/tiles.ts";
import { type Phrase, verdictView } from "../view/verdict-sentence.ts";

/** The overview of every stage; only that of `shown` is visible at first. */
export function overviews(run: RunData, shown: number): Markup {
  return html`${run.stages.map(({ name }, index) => overview(run, index, name, index === shown))}`;
}

function overview(run: RunData, index: number, name: string, isShown: boolean): Markup {
  const { sentence, context, finePrint, alarms } = verdictView(run, index);
  const warnings = run.stages[index].persistence?.warnings ?? [];
  const tiles = stageTiles(run, index);
  return html`<section data-stage="${name}" class="overview${isShown ? " shown" : ""}">
${alarms.map((alarm) => html`<p class="alarm" role="alert">${alarm}</p>`)}
<p class="verdict">${sentence.map(phrase)}</p>
<p class="context">${context.map(phrase)}</p>
${finePrint.length > 0 && html`<p class="fine">${finePrint.map(phrase)}</p>`}
${tileList(tiles)}
${
  warnings.length > 0 &&
  html`<details class="warnings"><summary>${plural(warnings.length, "caveat")} of this stage</summary><ul>${warnings.map((warning) => html`<li>${warning}</li>`)}</ul></details>`
}
</section>`;
}

/** Headline numbers side by side; null where there are none. */
export function tileList(tiles: readonly Tile[]): Markup | null {
  if (tiles.length === 0) return null;
  return html`<dl class="tiles">${tiles.map(
    ({ label, value, note, interval, term }) =>
      html`<div class="tile"><dt title="${meaningOf(term)}">${label}</dt><dd class="value${value.length > 9 ? " long" : ""}">${value}</dd><dd class="ci">${interval}</dd><dd class="note">${note}</dd></div>`,
  )}</dl>`;
}

/** A stretch of a sentence in its tone. */
export function phrase({ text, tone }: Phrase): Markup {
  return tone ? html`<em class="${tone}">${text}</em>` : html`${text}`;
}
