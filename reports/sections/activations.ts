/** The parts of a report on SAEs that were trained on a dump: what needs no model and no text. */
import type { Drawing } from "../charts/drawing.ts";
import { html, type Markup } from "../page/html.ts";
import type { RunData } from "../run-data.ts";
import type { ActivationsRow, ActivationsView } from "../view/activations.ts";
import { meaningOf } from "../view/glossary.ts";
import { trainingFigure } from "./charts.ts";
import type { Part } from "./header.ts";
import { phrase, tileList } from "./overview.ts";

/** The first screen. */
export function activationsOverview({ sentence, context, tiles }: ActivationsView): Markup {
  return html`<section class="overview">
<p class="verdict">${sentence.map(phrase)}</p>
<p class="context">${context}</p>
${tileList(tiles)}
</section>`;
}

/** SAEs in training. */
export function activationsFigures(run: RunData, drawing: Drawing): Markup {
  return html`<section class="figures" aria-label="Figures">${trainingFigure(run, drawing, 0, true)}</section>`;
}

/** The sections under the figures, with their places in the navigation. */
export function activationsSections(
  view: ActivationsView,
): readonly (readonly [...Part, Markup | null])[] {
  return [
    ["saes", "SAEs", view.rows.length === 0 ? null : saes(view.rows)],
    ["dump", "Activations", view.facts.length === 0 ? null : dump(view.facts)],
    ["methods", "Methods", methods()],
  ];
}

function saes(rows: readonly ActivationsRow[]): Markup {
  return html`<section id="saes"><h2>The SAEs</h2>
<p class="lead">First tokens and rows of very large norm left out, as in training. “Cosine” is between a row and its reconstruction, “norm” the length of the reconstruction over the row’s.</p>
<div class="scroll"><table class="plain"><thead><tr><th scope="col">SAE</th><th scope="col" class="far">hook</th><th scope="col" class="far">what it is</th><th scope="col" class="n">L0</th><th scope="col" class="n">FVU</th><th scope="col" class="n far">cosine</th><th scope="col" class="n far">norm</th><th scope="col" class="n">dead</th><th scope="col" class="n far">fire on over 1%</th><th scope="col" class="n far">over 10%</th></tr></thead>
<tbody>${rows.map(
    ({ name, hook, what, l0, fvu, cosine, norm, dead, often, veryOften }) =>
      html`<tr><th scope="row">${name}</th><td class="far">${hook}</td><td class="far dim">${what}</td><td class="n">${l0}</td><td class="n">${fvu}</td><td class="n far">${cosine}</td><td class="n far">${norm}</td><td class="n">${dead}</td><td class="n far">${often}</td><td class="n far">${veryOften}</td></tr>`,
  )}</tbody></table></div>
</section>`;
}

function dump(facts: ActivationsView["facts"]): Markup {
  return html`<section id="dump"><h2>The activations</h2>
<p class="lead">What the file says of itself, its own metadata included; nothing of it is checked against a model.</p>
<div class="scroll"><table class="plain"><tbody>${facts.map(
    ([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>`,
  )}</tbody></table></div>
</section>`;
}

function methods(): Markup {
  const terms = ["fvu", "l0", "dead"];
  return html`<section id="methods"><h2>Methods and caveats</h2>
<div class="prose">
<p>These SAEs were trained and measured on stored activations. What needs the model or its text is not measured: the loss with an SAE in place, what a latent writes to the logits, the contexts it fires in, growth and what becomes of latents in it. Figures in training are of training batches; those in the table are of the rows held out, as far as there are any.</p>
<h3>Words</h3>
<dl class="terms">${terms.map((term) => html`<div><dt>${term}</dt><dd>${meaningOf(term)}</dd></div>`)}</dl>
</div></section>`;
}
