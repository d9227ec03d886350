/** What it takes to do the run again: the command and the whole plan. */
import { html, type Markup } from "../page/html.ts";
import type { RunData } from "../run-data.ts";
import { sizesPath } from "../view/exactness.ts";

/** Goes on with the run's own plan, from inside its folder. */
export const repeatCommand: string = "npx sae-carry expand-and-track plan.yaml --out ../again";

/** The same for a run on a dump, which grows nothing. */
const repeatTraining = "npx sae-carry train plan.yaml --out ../again";

/** The section. */
export function repeatSection(run: RunData): Markup {
  const made = [
    ...(run.toolVersion === null ? [] : [`sae-carry ${run.toolVersion}`]),
    ...(run.backend === null ? [] : [`${run.backend} backend`]),
    ...(run.plan.seed === null ? [] : [`seed ${run.plan.seed}`]),
    sizesPath(run),
  ].filter(Boolean);
  return html`<section id="repeat"><h2>Do it again</h2>
<p class="lead">Made with ${made.join(", ")}. The same plan on the same backend gives the same bytes; run this in the run’s folder.</p>
<div class="code"><button type="button" data-copy="command">Copy</button><pre id="command">${run.activations === null ? repeatCommand : repeatTraining}</pre></div>
${
  run.plan.text !== null &&
  html`<details class="code"><summary>plan.yaml, every default spelled out</summary><button type="button" data-copy="plan">Copy</button><pre id="plan">${run.plan.text}</pre></details>`
}
</section>`;
}
