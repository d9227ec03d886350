/**
 * Where everything of a run lies, relative to the run folder. One place, so that what writes a file
 * and what reads it can't disagree.
 */
import { earlierSuffix } from "../plan/resolve-saes.ts";
import type { CorpusPlan, ResolvedPlan } from "../plan/types.ts";

/** The trajectory that the run is about. */
export const realArm = "carried";

/** The arm that trains `times` as long as the carried one. */
export function sweepArm(times: number): string {
  return `carried-${times}x`;
}

/** The folder name of stage `index`: `00-base`, then one per expansion. */
export function stageName(plan: ResolvedPlan, index: number): string {
  const name = index === 0 ? "base" : plan.stages[index - 1].name;
  return `${String(index).padStart(2, "0")}-${name}`;
}

/** How many stages a plan has, the base included. */
export function stageCount(plan: ResolvedPlan): number {
  return plan.stages.length + 1;
}

/** `stages/<stage>`. */
export function stageDir(plan: ResolvedPlan, index: number): string {
  return `stages/${stageName(plan, index)}`;
}

/** Where an arm's own files lie: the stage itself for the real one, `arms/<arm>` for a control. */
export function armDir(plan: ResolvedPlan, index: number, arm: string): string {
  const stage = stageDir(plan, index);
  return arm === realArm ? stage : `${stage}/arms/${arm}`;
}

/** A model's folder. */
export function modelDir(plan: ResolvedPlan, index: number, arm: string = realArm): string {
  return `${armDir(plan, index, arm)}/model`;
}

/** An SAE's folder. */
export function saeDir(
  plan: ResolvedPlan,
  index: number,
  name: string,
  arm: string = realArm,
): string {
  return `${armDir(plan, index, arm)}/sae/${name}`;
}

/** The SAE right after the carry, before any training. */
export function carriedDir(plan: ResolvedPlan, index: number, name: string): string {
  return `${stageDir(plan, index)}/carried/${name}`;
}

/** The same SAE at the earlier of two boundaries that inserted blocks made of one; written where there is one. */
export function earlierCarriedDir(plan: ResolvedPlan, index: number, name: string): string {
  return carriedDir(plan, index, `${name}${earlierSuffix}`);
}

/** The expansion map of a stage; its `model/` is the child before any training. */
export function expansionDir(plan: ResolvedPlan, index: number): string {
  return `${stageDir(plan, index)}/expansion`;
}

/** The curves of a stage's likeness to its parent and to the from-scratch model. */
export function likenessPath(plan: ResolvedPlan, index: number): string {
  return `${stageDir(plan, index)}/likeness.json`;
}

/** Token sets and the tokenizer, shared by all stages. */
export const dataDir = "data";

/** Where the token sets that stage `index` trains on lie: its own, or those of all stages. */
export function trainingDataDir(plan: ResolvedPlan, index: number): string {
  return ownData(plan, index) === null ? dataDir : `${stageDir(plan, index)}/data`;
}

/** The corpus of a stage that has one of its own; null for the base and for stages on the base's text. */
export function ownData(plan: ResolvedPlan, index: number): CorpusPlan | null {
  return index === 0 ? null : plan.stages[index - 1].data;
}

/** Scratch: checkpoints of work in progress, and each task's lines of metrics.jsonl. */
export const workDir = ".work";
