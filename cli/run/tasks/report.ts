/**
 * Task: the five questions, answered from what the run has measured, the histories of its latents, and the report. A run
 * on activations has the report alone: nothing grew.
 */
import { existsSync } from "node:fs";
import {
  answerFiveQuestions,
  type EvalEvidence,
  growthReport,
  type LossPoint,
  type PersistenceEvidence,
  type StageEvidence,
} from "../../../circuits/index.ts";
import { renderReport } from "../../../reports/index.ts";
import { readJson, readJsonl, writeFileAtomic, writeJsonAtomic } from "../../../src/io/index.ts";
import { expansionDir, likenessPath, stageCount, stageDir, stageName } from "../layout.ts";
import type { TaskContext } from "../task-context.ts";
import { readCircuit } from "./circuits.ts";
import { writeHistories } from "./histories.ts";
import type { LikenessFile } from "./likeness.ts";

/** Runs the task. Stages that a gate stopped are left out. */
export async function reportTask(context: TaskContext): Promise<string[]> {
  const { plan } = context;
  const path = (...parts: string[]): string => context.path(...parts);
  const write = (): void => writeFileAtomic(path("report.html"), renderReport(context.runDir));
  if (plan.activations !== null) {
    write();
    return ["report.html"];
  }
  const stages: StageEvidence[] = [];
  for (let stage = 0; stage < stageCount(plan); stage++) {
    const dir = path(stageDir(plan, stage));
    if (!existsSync(`${dir}/eval.json`)) break;
    stages.push({
      stage: stageName(plan, stage),
      eval: readJson(`${dir}/eval.json`) as EvalEvidence,
      expansion:
        stage === 0
          ? null
          : (readJson(path(expansionDir(plan, stage), "map.json")) as StageEvidence["expansion"]),
      persistence: existsSync(`${dir}/persistence.json`)
        ? (readJson(`${dir}/persistence.json`) as PersistenceEvidence)
        : null,
      likeness: existsSync(path(likenessPath(plan, stage)))
        ? ((readJson(path(likenessPath(plan, stage))) as LikenessFile).saes[0] ?? null)
        : null,
      circuit: existsSync(`${dir}/circuits`) ? readCircuit(path, plan, stage) : null,
    });
  }
  const curves = (readJsonl(path("metrics.jsonl")) as LossPoint[]).filter(
    ({ phase }) => phase === "lm",
  );
  writeJsonAtomic(path("five-questions.json"), answerFiveQuestions({ stages, curves }));
  writeJsonAtomic(path("growth.json"), growthReport({ stages, curves }));
  const histories = writeHistories(context);
  context.progress(0.3);
  write();
  return ["five-questions.json", "growth.json", ...histories, "report.html"];
}
