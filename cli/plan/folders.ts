/** @file Names of the folders of a run's stages: `00-base`, then `01-<name>`. */
import type { ResolvedPlan } from "./types.ts";

/** The base stage's folder. */
export const baseFolder = "00-base";

/** Folder of the `index`-th entry of `plan.stages` (0 = the first expansion, so `01-…`). */
export function stageFolder(plan: Pick<ResolvedPlan, "stages">, index: number): string {
  return `${String(index + 1).padStart(2, "0")}-${plan.stages[index].name}`;
}
