/** How exact the expansions were. */
import { html, type Markup } from "../page/html.ts";
import type { RunData } from "../run-data.ts";
import { exactLimits, exactnessRows } from "../view/exactness.ts";
import { small } from "../view/format.ts";

/** The section; null before the first expansion. */
export function exactnessSection(run: RunData): Markup | null {
  const rows = exactnessRows(run);
  if (rows.length === 0) return null;
  return html`<section id="exactness"><h2>Exactness of the expansions</h2>
<p class="lead">Measured on held-out text at the moment of growth, before any training. An exact method keeps max |Δlogit| below ${small(exactLimits.logits)} and every boundary below ${small(exactLimits.boundary)}. Where a method is not exact, maps were fitted on text, and R² is the lowest of them on held-out text. Off-image energy and copy spread say whether the grown model then left what its parent could do.</p>
<div class="scroll"><table class="plain"><thead><tr><th scope="col">stage</th><th scope="col">growth</th><th scope="col" class="far">method</th><th scope="col" class="n">max |Δlogit|</th><th scope="col" class="n far">KL, nats</th><th scope="col" class="n">worst boundary</th><th scope="col" class="n far">fitted R²</th><th scope="col" class="n far">same latents</th><th scope="col" class="n far">FVU, parent → carried</th><th scope="col" class="n">off-image</th><th scope="col" class="n far">copy spread</th></tr></thead>
<tbody>${rows.map(
    (row) =>
      html`<tr><th scope="row">${row.stage}</th><td class="whole">${row.growth}</td><td class="far dim">${row.method}</td><td class="n">${row.maxDifference}${row.isExact === null ? null : row.isExact ? html` <span class="ok" title="within the limits">✓</span>` : html` <span class="warn">not exact</span>`}</td><td class="n far">${row.kl}</td><td class="n">${row.worstBoundary}</td><td class="n far">${row.fitR2}</td><td class="n far">${row.sameLatents}</td><td class="n far">${row.fvuParent} → ${row.fvuCarried}</td><td class="n">${row.offImage}</td><td class="n far">${row.copySpread}</td></tr>`,
  )}</tbody></table></div></section>`;
}
