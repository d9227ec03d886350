/** The top of the page: title, stages, what the run is, and links to its parts. */
import { basename } from "node:path";
import { architectures, type SaeArchitecture } from "../../sae/index.ts";
import { html, type Markup } from "../page/html.ts";
import type { RunData } from "../run-data.ts";
import { stagePills } from "../view/stages.ts";

/** The id of a section and its name. */
export type Part = readonly [id: string, label: string];

/** The header; `parts` are the sections that are there, `shown` is the index of the stage that is shown first. */
export function header(run: RunData, shown: number, parts: readonly Part[]): Markup {
  const sae = run.plan.saes[0];
  const facts = [
    ...(run.plan.seed === null ? [] : [`seed ${run.plan.seed}`]),
    ...(run.plan.corpus === null ? [] : [`corpus ${run.plan.corpus}`]),
    ...(run.plan.activations === null ? [] : [`activations ${basename(run.plan.activations)}`]),
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
<div class="facts"><nav class="parts" aria-label="Parts of this page">${parts.map(([id, label]) => html`<a href="#${id}">${label}</a>`)}</nav><span>${facts.join(" · ")}</span></div>
</header>`;
}

function architecture(name: string): string {
  return name in architectures ? architectures[name as SaeArchitecture].title : name;
}
