/** A second opinion on every verdict: the crosscoder of each stage that has one. */
import { html, type Markup } from "../page/html.ts";
import type { RunData } from "../run-data.ts";
import { type CrosscoderRow, crosscoderView } from "../view/crosscoder.ts";
import { transition } from "../view/stages.ts";

/** The section; null where no stage has a crosscoder. */
export function crosscoderSection(run: RunData, shown: number): Markup | null {
  const views = run.stages.map(crosscoderView);
  if (views.every((view) => view === null)) return null;
  return html`<section id="crosscoder"><h2>A second opinion</h2>
<p class="lead">A crosscoder, one set of latents that reads and writes both models, trained without the carried dictionary and without the expansion map. It changes no verdict. Shared means present in both models, which features of single tokens are in any two; a direction where the growth put the parent’s is what inheritance adds.</p>
${views.map((view, index) =>
  view === null
    ? null
    : html`<div data-stage="${run.stages[index].name}" class="${index === shown ? "shown" : ""}">${view.sentences.map((sentence) => html`<p class="lead">${sentence}</p>`)}<div class="scroll"><table class="plain"><caption>${transition(run, index)}: parent latents by verdict and by what the crosscoder says of them</caption>
<thead><tr><th scope="col">verdict</th><th scope="col" class="n">shared</th><th scope="col" class="n">in its direction</th><th scope="col" class="n">parent only</th><th scope="col" class="n far">child only</th><th scope="col" class="n">says nothing</th></tr></thead>
<tbody>${view.rows.map(row)}</tbody></table></div></div>`,
)}
</section>`;
}

function row({ verdict, shared, aligned, parentOnly, childOnly, silent }: CrosscoderRow): Markup {
  return html`<tr><th scope="row">${verdict}</th><td class="n">${shared}</td><td class="n">${aligned}</td><td class="n">${parentOnly}</td><td class="n far">${childOnly}</td><td class="n dim">${silent}</td></tr>`;
}
