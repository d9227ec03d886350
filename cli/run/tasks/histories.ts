/** history.json and history/<name>.arrow: what became of each latent over all stages of a run. */
import { existsSync, mkdirSync } from "node:fs";
import {
  type Cohort,
  cohorts,
  type FeatureHistory,
  featureHistories,
  type HistoryStage,
} from "../../../sae/index.ts";
import {
  int32,
  list,
  readArrow,
  utf8,
  valueAt,
  writeArrowTable,
  writeJsonAtomic,
} from "../../../src/io/index.ts";
import { stageCount, stageDir, stageName } from "../layout.ts";
import type { TaskContext } from "../task-context.ts";

/** history.json. */
export interface HistoryDocument {
  readonly format: "sae-carry/history";
  readonly version: 1;
  readonly saes: readonly { readonly name: string; readonly cohorts: readonly Cohort[] }[];
}

/** Writes both for every SAE of the plan that was compared at a stage; returns their paths. */
export function writeHistories(context: TaskContext): string[] {
  const { plan } = context;
  const outputs: string[] = [];
  const saes: { name: string; cohorts: Cohort[] }[] = [];
  for (const { name } of plan.saes) {
    const stages: HistoryStage[] = [];
    for (let stage = 1; stage < stageCount(plan); stage++) {
      const path = context.path(stageDir(plan, stage), "persistence", `${name}.arrow`);
      if (!existsSync(path)) break;
      stages.push(readStage(path, stageName(plan, stage), plan.stages[stage - 1].train.tokens));
    }
    if (stages.length === 0) continue;
    const base = { stage: stageName(plan, 0), latents: stages[0].verdict.length };
    const histories = featureHistories(base, stages);
    saes.push({ name, cohorts: cohorts(histories, stages, context.rng(`history ${name}`)) });
    mkdirSync(context.path("history"), { recursive: true });
    const table = `history/${name}.arrow`;
    writeArrowTable(context.path(table), historyColumns(histories), {
      "sae_carry.format": "sae-carry/history",
      "sae_carry.version": "1",
      "sae_carry.sae": name,
    });
    outputs.push(table);
  }
  if (saes.length === 0) return [];
  const document: HistoryDocument = { format: "sae-carry/history", version: 1, saes };
  writeJsonAtomic(context.path("history.json"), document);
  return [...outputs, "history.json"];
}

function readStage(path: string, stage: string, tokens: number): HistoryStage {
  const table = readArrow(path, { columns: ["side", "latent", "verdict", "matches"] });
  const side = table.strings("side");
  const verdicts = table.strings("verdict");
  const latent = table.int32("latent");
  const matches = table.get("matches", "lists");
  const rowsOf = (of: string): number[] => side.flatMap((name, row) => (name === of ? [row] : []));
  const [parents, children] = [rowsOf("parent"), rowsOf("child")];
  const verdict = new Array<string>(parents.length).fill("unknown");
  const match = new Int32Array(parents.length).fill(-1);
  for (const row of parents) {
    verdict[latent[row]] = verdicts[row] ?? "unknown";
    match[latent[row]] = (valueAt(matches, row) as readonly number[] | null)?.[0] ?? -1;
  }
  const own = new Array<string>(children.length).fill("unknown");
  for (const row of children) own[latent[row]] = verdicts[row] ?? "unknown";
  return { stage, tokens, verdict, match, own };
}

function historyColumns(histories: readonly FeatureHistory[]) {
  return [
    { name: "cohort", type: utf8, values: histories.map(({ cohort }) => cohort) },
    { name: "latents", type: list(int32), values: histories.map(({ latents }) => latents) },
    { name: "verdicts", type: list(utf8), values: histories.map(({ verdicts }) => verdicts) },
  ];
}
