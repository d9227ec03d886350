/** Reports: a run's files as one self-contained page, and the numbers behind it. */

export { readRun } from "./read-run.ts";
export { renderReport, renderRun } from "./render-report.ts";
export type { RunData, StageData } from "./run-data.ts";
export { type FatesView, fatesView, throughAll } from "./view/fates.ts";
export { type VerdictView, verdictView } from "./view/verdict-sentence.ts";
