/** The table of latents: the controls and the empty table, which the page's script fills from the data. */
import { html, Markup } from "../page/html.ts";

/** Columns: key, heading, class, explanation. The script knows the keys. */
const columns: readonly (readonly [string, string, string, string])[] = [
  ["latent", "latent", "n", "Number of the latent in its SAE"],
  ["verdict", "verdict", "", "Worst first; see Methods"],
  ["corr", "r", "n", "Activation correlation with its best match in the child"],
  ["cos", "cosine", "n far", "Decoder cosine to the match, in the mapped frame"],
  ["contain", "contain.", "n far", "The smaller of the two strong containments"],
  ["fresh_rate", "fresh", "n far", "Share of fresh child SAEs that find it"],
  ["density_before", "fires, before", "n far", "Share of tokens it fires on in the parent"],
  ["density_after", "after", "n far", "Share of tokens its match fires on in the child"],
];

/** The section; a run without SAEs has it hidden, since the page's script fills it. */
export function latentsSection(hasSaes: boolean): Markup {
  return html`<section id="latents"${!hasSaes && new Markup(" hidden")}><div class="row"><h2>Latents, <span id="order">worst first</span></h2><p id="count" class="lead" aria-live="polite"></p></div>
<div class="bar" role="search">
<input id="search" type="search" placeholder="Search tokens or a latent’s number" aria-label="Search tokens or a latent’s number" autocomplete="off" spellcheck="false">
<select id="density" aria-label="Density"><option value="">any density</option><option value="0.1-1">10% of tokens and more</option><option value="0.01-0.1">1% to 10%</option><option value="0.001-0.01">0.1% to 1%</option><option value="0-0.001">below 0.1%</option></select>
<select id="lineage" aria-label="Where the latent comes from"><option value="">any origin</option></select>
<button type="button" id="reset">Reset</button><button type="button" id="csv">CSV</button>
</div>
<div id="facets" class="facets" role="group" aria-label="Verdicts"></div>
<div class="scroll"><table id="table"><thead><tr>${columns.map(
    ([key, label, kind, title]) =>
      html`<th scope="col" class="${kind}" data-key="${key}"><button type="button" title="${title}">${label}</button></th>`,
  )}<th scope="col" class="tok">strongest context</th></tr></thead><tbody id="rows"></tbody></table></div>
<div class="pager"><button type="button" id="previous" aria-label="Previous page">‹</button><span id="page"></span><button type="button" id="next" aria-label="Next page">›</button><span class="keys"><kbd>/</kbd> search <kbd>↑</kbd><kbd>↓</kbd> move <kbd>Enter</kbd> open <kbd>Esc</kbd> close</span></div>
<noscript><p class="lead">The table needs the page’s own script; its data is in features.arrow and persistence/*.arrow of the run.</p></noscript>
</section>`;
}
