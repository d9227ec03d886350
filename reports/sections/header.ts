/** The top of the page: title, stages, what the run is, and links to its parts. */
import { html, type Markup } from "../page/html.ts";
import type { RunData } from "../run-data.ts";
import { stagePills } from "../view/stages.ts";

/** The header; `shown` is the index of the stage that is shown first. */
export function header(run: RunData, shown: number): Markup {
  const sae = run.plan.saes[0];
  const facts = [
    ...(run.plan.seed === null ? [] : [`seed ${run.plan.seed}`]),
    ...(run.plan.corpus === null ? [] : [`corpus ${run.plan.corpus}`]),
    ...(sae
      ? [`${sae.hook} · ${architecture(sae.architecture)} ${sae.k ?? "?"} of ${sae.d_sae ?? "?"}`]
      : []),
  ];
  const pills = stagePills(run).map(
    ({ name, label, size, begun }, index) =>
      html`${index > 0 && html`<span class="arrow" aria-hidden="true">→</span>`}<button type="button" class="pill" data-go="${name}" aria-pressed="${index === shown ? "true" : "false"}"${begun ? null : html` disabled title="not begun yet"`}>${label}${size && html`<span class="size">${size}</span>`}</button>`,
  );
  return html`<header class="top">
<div class="identity"><h1>${run.plan.title}</h1><nav class="stages" aria-label="Stages">${pills}</nav>
<button type="button" class="theme" id="theme" aria-label="Colours: as the system">◐</button></div>
<div class="facts"><nav class="parts" aria-label="Parts of this page"><a href="#questions">Five questions</a><a href="#latents">Latents</a><a href="#saes">SAEs</a><a href="#growth">Exactness</a><a href="#circuits">Circuits</a><a href="#methods">Methods</a><a href="#repeat">Repeat</a></nav><span>${facts.join(" · ")}</span></div>
</header>`;
}

function architecture(name: string): string {
  return { batchtopk: "BatchTopK", topk: "TopK" }[name] ?? name;
}
