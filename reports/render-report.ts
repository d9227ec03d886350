/** The drift report of a run: reads the run's files and nothing else; same files, same bytes. */
import { Drawing } from "./charts/drawing.ts";
import { html, type Markup } from "./page/html.ts";
import { page } from "./page/page.ts";
import { readRun } from "./read-run.ts";
import type { RunData } from "./run-data.ts";
import { charts } from "./sections/charts.ts";
import { circuitsSection } from "./sections/circuits.ts";
import { crosscoderSection } from "./sections/crosscoder.ts";
import { exactnessSection } from "./sections/exactness.ts";
import { growthSection } from "./sections/growth.ts";
import { header, type Part } from "./sections/header.ts";
import { latentsSection } from "./sections/latents.ts";
import { methodsSection } from "./sections/methods.ts";
import { overviews } from "./sections/overview.ts";
import { questionsSection } from "./sections/questions.ts";
import { repeatSection } from "./sections/repeat.ts";
import { saesSection } from "./sections/saes.ts";
import { isGrowthAlone } from "./view/growth.ts";
import { latentPayload } from "./view/latent-payload.ts";

/** Renders report.html of the run in `runDir`. Errors: UsageError when that is no run or holds a damaged file. */
export function renderReport(runDir: string): string {
  return renderRun(readRun(runDir));
}

/** Renders a run that was read before. */
export function renderRun(run: RunData): string {
  const drawing = new Drawing();
  const shown = shownStage(run);
  const hasSaes = !isGrowthAlone(run);
  const sections: readonly (readonly [...Part, Markup | null])[] = [
    ["questions", "Five questions", questionsSection(run)],
    ["latents", "Latents", latentsSection(hasSaes)],
    ["saes", "SAEs", hasSaes ? saesSection(run, shown) : null],
    ["crosscoder", "Second opinion", hasSaes ? crosscoderSection(run, shown) : null],
    ["growth", "Growth", growthSection(run)],
    ["exactness", "Exactness", exactnessSection(run)],
    ["circuits", "Circuits", circuitsSection(run, drawing, shown)],
    ["methods", "Methods", methodsSection(run)],
    ["repeat", "Repeat", repeatSection(run)],
  ];
  const there = sections.filter(([, , section]) => section !== null);
  const parts = there
    .filter(([id]) => hasSaes || id !== "latents")
    .map(([id, label]) => [id, label] as const);
  const body = html`${header(run, shown, parts)}
${overviews(run, shown)}
${charts(run, drawing, shown)}
${there.map(([, , section]) => section)}`;
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
