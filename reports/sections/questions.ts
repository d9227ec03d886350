/** The five questions of "Model Expansion and AI Alignment", each with what this run says to it. */
import { html, type Markup } from "../page/html.ts";
import type { RunData } from "../run-data.ts";
import { type QuestionCard, questionCards } from "../view/questions.ts";

/** Five cards. */
export function questionsSection(run: RunData): Markup {
  return html`<section id="questions"><h2>Five questions about growing a model</h2>
<p class="lead">Asked in <cite>Model Expansion and AI Alignment</cite> (niplav, 2025); answered from this run’s own files, or not at all.</p>
<div class="questions">${questionCards(run).map(card)}</div></section>`;
}

const states = {
  answered: "answered",
  tentative: "tentative",
  "cannot tell": "can’t tell",
} as const;

function card(view: QuestionCard): Markup {
  const { id, question, verdict, detail, value, interval, unit, state, evidence } = view;
  return html`<article class="question ${state === "cannot tell" ? "mute" : state}">
<header><span class="number">${id}</span><span class="state">${states[state]}</span></header>
<h3>${question}</h3>
<p class="answer">${verdict}${verdict.endsWith(".") ? "" : "."}</p>
${
  state !== "cannot tell" &&
  html`<p class="figure"><b>${value}</b> ${interval && html`<span>${interval}</span>`}<span class="unit">${unit}</span></p>`
}
${
  detail && state === "cannot tell"
    ? html`<p class="reason">${detail}</p>`
    : (detail || evidence.length > 0) &&
      html`<details><summary>In full, with sources</summary>${detail && html`<p>${detail}</p>`}${sources(evidence)}</details>`
}
${state === "cannot tell" && sources(evidence)}
</article>`;
}

/** The files behind an answer, each once with its fields. */
function sources(evidence: QuestionCard["evidence"]): Markup | null {
  if (evidence.length === 0) return null;
  const files = [...new Set(evidence.map(({ file }) => file))];
  return html`<p class="evidence">${files.map((file) =>
    source(
      file,
      evidence.filter((entry) => entry.file === file).map(({ field }) => field),
    ),
  )}</p>`;
}

function source(file: string, fields: readonly string[]): Markup {
  // a path inside the run, and nothing else, becomes a link
  const isInside = /^[\w-][\w./-]*$/.test(file) && !file.split("/").includes("..");
  const name = html`${file.split("/").slice(-2).join("/")}`;
  return html`<span>${isInside ? html`<a href="${file}">${name}</a>` : name}<small>${fields.join(", ")}</small></span>`;
}
