/** Circuits of each stage and the heads of all. */
import type { Drawing } from "../charts/drawing.ts";
import { headGridChart } from "../charts/head-grid-chart.ts";
import { intervalChart } from "../charts/interval-chart.ts";
import { html, Markup } from "../page/html.ts";
import type { RunData } from "../run-data.ts";
import { type CircuitView, circuitView } from "../view/circuits.ts";
import { headGridRows } from "../view/head-grids.ts";
import { drawings } from "./figure.ts";

/** The section; null where no stage looked for a circuit. */
export function circuitsSection(run: RunData, drawing: Drawing, shown: number): Markup | null {
  const views = run.stages.map((_, index) => circuitView(run, index));
  const heads = headGridRows(run);
  if (views.every((view) => view === null) && heads === null) return null;
  return html`<section id="circuits"><h2>Circuits and heads</h2>
<div class="figures">${views.map((view, index) => view && circuitCards(view, run.stages[index].name, index === shown, drawing))}
${
  heads &&
  html`<figure class="card wide"><figcaption><h3>Head scores on repeated random tokens</h3><p>Mean attention on a whole diagonal; layers from the bottom up, heads from left to right. Darker: further above the same head’s score on sequences that do not repeat.</p></figcaption>
<div class="heads">${heads.map((row) => html`<div><h4>${row.label}</h4><div class="scroll">${new Markup(headGridChart(drawing, row))}</div></div>`)}</div></figure>`
}</div></section>`;
}

function circuitCards(
  view: CircuitView,
  stage: string,
  isShown: boolean,
  drawing: Drawing,
): Markup {
  const { rows } = view;
  const visibility = isShown ? " shown" : "";
  return html`<figure class="card${visibility}" data-stage="${stage}"><figcaption><h3>${view.task ? `The ${view.task} circuit` : "No circuit"}</h3><p>${view.summary}</p></figcaption>
${rows.length > 0 && drawings((width) => intervalChart(drawing, rows, width, { label: "Share of the task’s effect recovered" }))}
${view.facts.length > 0 && html`<dl class="facts-list">${view.facts.map(({ name, value }) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`}
</figure>
<figure class="card${visibility}" data-stage="${stage}"><figcaption><h3>${view.nodes.length > 0 ? view.nodesTitle : "Tasks"}</h3><p>Strongest first, by attribution in logits. Latents lead to their row in the table.</p></figcaption>
<ul class="nodes">${view.nodes.map(
    ({ label, kind, latent, score }) =>
      html`<li class="${kind}">${latent === null ? label : html`<a href="#stage=${stage}&latent=${latent}">${label}</a>`} <b>${score}</b></li>`,
  )}</ul>
<table class="plain small"><thead><tr><th scope="col">task</th><th scope="col" class="n far">m(M)</th><th scope="col" class="n far">m(∅)</th><th scope="col" class="n">difference</th><th scope="col">state</th></tr></thead><tbody>${view.tasks.map(
    ({ task, full, empty, difference, verdict }) =>
      html`<tr><th scope="row">${task}</th><td class="n far">${full}</td><td class="n far">${empty}</td><td class="n">${difference}</td><td class="dim">${verdict}</td></tr>`,
  )}</tbody></table>
${
  view.examples.length > 0 &&
  html`<details><summary>Prompts</summary>${view.examples.map(
    ({ clean, corrupted, answer, wrong }) =>
      html`<p class="prompt"><span>${clean.join("")}</span><b>${answer}</b></p><p class="prompt dim"><span>${corrupted.join("")}</span><b>not ${wrong}</b></p>`,
  )}</details>`
}
</figure>`;
}
