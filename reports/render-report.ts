/** The drift report of a run: reads the run's files and nothing else; same files, same bytes. */
import { Drawing } from "./charts/drawing.ts";
import { html, type Markup } from "./page/html.ts";
import { page } from "./page/page.ts";
import { readRun } from "./read-run.ts";
import type { RunData } from "./run-data.ts";
import {
  activationsFigures,
  activationsOverview,
  activationsSections,
} from "./sections/activations.ts";
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
import { type ActivationsView, activationsView } from "./view/activations.ts";
import { isGrowthAlone } from "./view/growth.ts";
import { latentPayload } from "./view/latent-payload.ts";

/** A section with its place in the navigation; null where the run has nothing for it. */
type Section = readonly [...Part, Markup | null];

/** Renders report.html of the run in `runDir`. Errors: UsageError when that is no run or holds a damaged file. */
export function renderReport(runDir: string): string {
  return renderRun(readRun(runDir));
}

/** Renders a run that was read before. */
export function renderRun(run: RunData): string {
  const drawing = new Drawing();
  const view = activationsView(run);
  if (view !== null) return renderActivations(run, view, drawing);
  const shown = shownStage(run);
  const hasSaes = !isGrowthAlone(run);
  const sections: readonly Section[] = [
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
  const parts = partsOf(there.filter(([id]) => hasSaes || id !== "latents"));
  const body = html`${header(run, shown, parts)}
${overviews(run, shown)}
${charts(run, drawing, shown)}
${there.map(([, , section]) => section)}`;
  return page({ title: run.plan.title, body, data: latentPayload(run, shown) });
}

/** SAEs on a dump: what needs no model and no text. */
function renderActivations(run: RunData, view: ActivationsView, drawing: Drawing): string {
  const sections: readonly Section[] = [
    ...activationsSections(view),
    ["repeat", "Repeat", repeatSection(run)],
  ];
  const there = sections.filter(([, , section]) => section !== null);
  const body = html`${header(run, 0, partsOf(there))}
${activationsOverview(view)}
${activationsFigures(run, drawing)}
${there.map(([, , section]) => section)}
${latentsSection(false)}`;
  return page({ title: run.plan.title, body, data: latentPayload(run, 0) });
}

function partsOf(sections: readonly Section[]): Part[] {
  return sections.map(([id, label]) => [id, label] as const);
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
