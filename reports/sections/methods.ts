/** How the numbers came about, what they don't say, and the words. */
import { html, type Markup } from "../page/html.ts";
import type { RunData } from "../run-data.ts";
import { count, decimal } from "../view/format.ts";
import { glossary } from "../view/glossary.ts";
import { verdictWords } from "../view/verdicts.ts";

/** The section. */
export function methodsSection(run: RunData): Markup {
  const last = run.stages.findLast(({ persistence }) => persistence !== null)?.persistence;
  const { thresholds, counts } = last ?? {};
  return html`<section id="methods"><h2>Methods and caveats</h2>
<div class="prose">
<p>Every model of the run reads the same held-out tokens${last?.tokens ? html` (${count(last.tokens)} of them)` : null}. Latents are compared by what they do on those tokens; directions are compared only after the parent’s have been taken through the expansion map.${
    thresholds
      ? html` Thresholds at the last stage: correlation ${decimal(thresholds.correlation.used)} (floor ${decimal(thresholds.correlation.floor)}, null ${decimal(thresholds.correlation.null_p99)}), cosine ${decimal(thresholds.cosine.used)} (floor ${decimal(thresholds.cosine.floor)}, null ${decimal(thresholds.cosine.null_p99)}), strong containment ${decimal(thresholds.containment)}.`
      : null
  }</p>
<p>Intervals are 95% bootstraps over sequences, over latents and over seeds where there are several fresh ones. From two or three seeds they can be too narrow, since how much seeds differ is drawn from those alone. They leave out how much another training run of the models, or another carried SAE, would differ: this is one. Nothing is clipped, and a ratio whose denominator is below three standard errors is not reported.</p>
<p>Redundant parent latents (mutual correlation of .95 and more) are judged together. A latent that fires fewer than ${run.plan.minFirings ?? 50} times is unknown and in no denominator. ${
    counts && counts.split === null
      ? "Splits, merges and absorptions were not computed: such latents are uncertain, drifted or died."
      : "A split, an absorption or a merge counts only where at least half of the fresh SAEs of the child show it too, if there are any."
  } Linear probes read many features from any model, so a probe is a witness and never a headline.</p>
<h3>Verdicts, in the order of severity</h3>
<dl class="terms">${verdictWords
    .filter(({ key }) => counts?.[key] !== null)
    .map(
      ({ label, colour, meaning }) =>
        html`<div><dt><i class="dot c-${colour}"></i>${label}</dt><dd>${meaning}</dd></div>`,
    )}</dl>
<h3>Words</h3>
<dl class="terms">${glossary.map(({ term, meaning }) => html`<div><dt>${term}</dt><dd>${meaning}</dd></div>`)}</dl>
</div></section>`;
}
