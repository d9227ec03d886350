/** Quality of the SAEs of each stage, arm by arm. */
import { html, type Markup } from "../page/html.ts";
import type { RunData } from "../run-data.ts";
import { decimal, percent } from "../view/format.ts";
import { type SaeRow, saeTable } from "../view/sae-table.ts";
import { stageLabel } from "../view/stages.ts";

/** The section with a table for every stage. */
export function saesSection(run: RunData, shown: number): Markup {
  return html`<section id="saes"><h2>The SAEs behind it</h2>
<p class="lead">On held-out text, first tokens left out. Shares of arms whose L0 or FVU differ by more than 5% from the carried SAE’s should not be compared closely. “Rate” is the peak learning rate of the arm’s own training in this stage.</p>
${run.stages.map((stage, index) => {
  const table = saeTable(stage, run.plan.saes[0]?.name);
  if (table === null) return null;
  const note =
    table.beatsPca === null
      ? ""
      : `PCA at rank ${table.rank} leaves ${table.pcaFvu}: the SAE ${table.beatsPca ? "beats it" : "does not beat it"}.`;
  return html`<div data-stage="${stage.name}" class="${index === shown ? "shown" : ""}"><div class="scroll"><table class="plain"><caption>${stageLabel(stage.name)}. ${note}</caption>
<thead><tr><th scope="col">arm</th><th scope="col" class="far">what it is</th><th scope="col" class="n far">rate</th><th scope="col" class="n">L0</th><th scope="col" class="n">FVU</th><th scope="col" class="n">CE score</th><th scope="col" class="n far">dead</th><th scope="col" class="n">function</th><th scope="col">matched</th></tr></thead>
<tbody>${table.rows.map(row)}</tbody></table></div>${others(run, index)}</div>`;
})}
</section>`;
}

function row(view: SaeRow): Markup {
  const { arm, what, rate, l0, fvu, ceScore, dead, functionShare, matched, isReal } = view;
  const state =
    matched === null
      ? html`<span class="dim">–</span>`
      : matched
        ? html`<span class="ok">within 5%</span>`
        : html`<span class="warn">differs</span>`;
  return html`<tr${isReal ? html` class="real"` : null}><th scope="row">${arm}</th><td class="far dim">${what}</td><td class="n far">${rate}</td><td class="n">${l0}</td><td class="n">${fvu}</td><td class="n">${ceScore}</td><td class="n far">${dead}</td><td class="n">${functionShare}</td><td>${state}</td></tr>`;
}

/** The plan's other SAEs in a line each. */
function others(run: RunData, index: number): Markup | null {
  const { others: documents } = run.stages[index];
  if (documents.length === 0) return null;
  return html`<p class="lead">Other SAEs of this stage: ${documents
    .map(
      ({ name, corrected, persisted }) =>
        `${name}: persisted ${percent(persisted.value)}, corrected ${decimal(corrected?.value)}`,
    )
    .join("; ")}.</p>`;
}
