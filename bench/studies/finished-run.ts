/** @file What the tables of docs/study.md read of a finished run: its own documents, nothing computed anew. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { StageEvaluation } from "../../cli/run/tasks/evaluate.ts";
import type { PersistenceDocument } from "../../sae/persistence/index.ts";
import type { ExpansionMap } from "../../src/expansion/index.ts";
import { readJson } from "../../src/io/index.ts";

/** A stage's documents; those of a comparison are null in the base. */
export interface FinishedStage {
  readonly name: string;
  readonly evaluation: StageEvaluation;
  readonly persistence: PersistenceDocument | null;
  readonly map: Pick<ExpansionMap, "method" | "exact"> | null;
}

/** A run whose report is written. */
export interface FinishedRun {
  readonly name: string;
  readonly seed: number;
  readonly stages: readonly FinishedStage[];
}

/** Reads a run's folder; null where it isn't finished. */
export function finishedRun(dir: string, name: string, seed: number): FinishedRun | null {
  const folder = join(dir, name);
  if (!existsSync(join(folder, "history.json"))) return null;
  const json = (path: string): unknown => readJson(join(folder, path));
  const optional = (path: string): unknown => (existsSync(join(folder, path)) ? json(path) : null);
  const stages = readdirSync(join(folder, "stages"))
    .sort()
    .map((stage): FinishedStage => {
      const at = (file: string): string => join("stages", stage, file);
      return {
        name: stage,
        evaluation: json(at("eval.json")) as StageEvaluation,
        persistence: optional(at("persistence.json")) as PersistenceDocument | null,
        map: optional(at("expansion/map.json")) as FinishedStage["map"],
      };
    });
  return { name, seed, stages };
}
