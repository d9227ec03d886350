/** What each expansion cost and bought, against the unexpanded and the from-scratch model. */
import { html, type Markup } from "../page/html.ts";
import type { RunData } from "../run-data.ts";
import { type GrowthComparisonRow, growthRows } from "../view/growth.ts";

/** The section; null before the first expansion was evaluated. */
export function growthSection(run: RunData): Markup | null {
  const rows = growthRows(run);
  if (rows === null) return null;
  return html`<section id="growth"><h2>What growing cost and bought</h2>
<p class="lead">Held-out loss in nats per token, ± 95% over held-out sequences. Compute counts training operations: 6 for each weight that multiplies and token, attention added; ancestors’ training is in the totals, and that of the SAEs is not.</p>
<div class="scroll"><table class="plain"><thead><tr><th scope="col">stage</th><th scope="col">growth</th><th scope="col" class="far">method</th><th scope="col" class="n far">parameters</th><th scope="col" class="n far">tokens</th><th scope="col" class="n far">operations</th><th scope="col" class="n">loss before</th><th scope="col" class="n">right after</th><th scope="col" class="n far">change</th><th scope="col" class="n">trained on</th></tr></thead>
<tbody>${rows.stages.map(
    (row) =>
      html`<tr><th scope="row">${row.stage}</th><td>${row.growth}</td><td class="far dim">${row.method}</td><td class="n far">${row.parameters}</td><td class="n far">${row.tokens}</td><td class="n far">${row.compute}</td><td class="n">${row.before}</td><td class="n">${row.afterExpansion}</td><td class="n far">${row.jump}</td><td class="n">${row.loss}</td></tr>`,
  )}</tbody></table></div>
${
  rows.comparisons.length > 0 &&
  html`<p class="lead">The last stage against what the same training gives otherwise. Below zero, growing is ahead; one training seed of each is behind it, and seeds differ too.</p>
<div class="scroll"><table class="plain"><thead><tr><th scope="col">against</th><th scope="col">matched</th><th scope="col" class="n far">at</th><th scope="col" class="n far">grown</th><th scope="col" class="n far">other</th><th scope="col" class="n">difference</th><th scope="col" class="n far">95%</th><th scope="col" class="far">read</th></tr></thead>
<tbody>${rows.comparisons.map(comparison)}</tbody></table></div>`
}</section>`;
}

function comparison(row: GrowthComparisonRow): Markup {
  const tone = row.ahead === null ? "" : row.ahead === "grown" ? " ok" : " warn";
  return html`<tr><th scope="row">${row.against}</th><td>${row.matched}</td><td class="n far">${row.at}</td><td class="n far">${row.grown}</td><td class="n far">${row.control}</td><td class="n${tone}">${row.difference}</td><td class="n far">${row.interval}</td><td class="far dim">${row.caveat || "both at their end"}</td></tr>`;
}
