/** The drift report of a run: reads the run's files and nothing else; same files, same bytes. */
import { Drawing } from "./charts/drawing.ts";
import { html } from "./page/html.ts";
import { page } from "./page/page.ts";
import { readRun } from "./read-run.ts";
import type { RunData } from "./run-data.ts";
import { charts } from "./sections/charts.ts";
import { circuitsSection } from "./sections/circuits.ts";
import { growthSection } from "./sections/growth.ts";
import { header } from "./sections/header.ts";
import { latentsSection } from "./sections/latents.ts";
import { methodsSection } from "./sections/methods.ts";
import { overviews } from "./sections/overview.ts";
import { questionsSection } from "./sections/questions.ts";
import { repeatSection } from "./sections/repeat.ts";
import { saesSection } from "./sections/saes.ts";
import { latentPayload } from "./view/latent-payload.ts";

/** Renders report.html of the run in `runDir`. Errors: UsageError when that is no run or holds a damaged file. */
export function renderReport(runDir: string): string {
  return renderRun(readRun(runDir));
}

/** Renders a run that was read before. */
export function renderRun(run: RunData): string {
  const drawing = new Drawing();
  const shown = shownStage(run);
  const body = html`${header(run, shown)}
${overviews(run, shown)}
${charts(run, drawing, shown)}
${questionsSection(run)}
${latentsSection()}
${saesSection(run, shown)}
${growthSection(run)}
${circuitsSection(run, drawing, shown)}
${methodsSection(run)}
${repeatSection(run)}`;
  return page({ title: run.plan.title, body, data: latentPayload(run, shown) });
}

/** The stage that says most: the last with corrected persistence, else the last compared, else the last begun. */
function shownStage(run: RunData): number {
  const last = (has: (index: number) => boolean): number => {
    for (let index = run.stages.length - 1; index >= 0; index--) if (has(index)) return index;
    return -1;
  };
  const candidates = [
    last((i) => run.stages[i].persistence?.corrected?.value != null),
    last((i) => run.stages[i].persistence !== null),
    last((i) => run.stages[i].evaluation !== null),
  ];
  return Math.max(0, candidates.find((index) => index >= 0) ?? 0);
}
