/**
 * Checkpoints over a stage's training (`stages[].train.checkpoints`): after 1/2, 1/4, 1/8, … of the steps, since
 * most changes right after an expansion. The from-scratch model keeps those of as many tokens as the grown line has
 * seen by then, so that the two are read at matched tokens (likeness.ts). Stored in half precision: they are for
 * measuring, not for going on from.
 */
import type { ResolvedPlan, TrainPlan } from "../plan/types.ts";
import { armDir, realArm, stageCount } from "./layout.ts";

/** The steps of one training. */
export interface TrainingSteps {
  readonly steps: number;
  readonly batchTokens: number;
}

/** A model kept while it trains. */
export interface Checkpoint {
  /** Steps taken, from 0. */
  readonly step: number;
  /** Tokens of this training by then. */
  readonly tokens: number;
}

/** How `tokens` tokens fall into steps of whole sequences. */
export function trainingSteps(
  plan: ResolvedPlan,
  { batch_tokens }: Pick<TrainPlan, "batch_tokens">,
  tokens: number,
): TrainingSteps {
  const { context } = plan.data;
  const batchTokens = Math.max(1, Math.round(batch_tokens / context)) * context;
  return { steps: Math.ceil(tokens / batchTokens), batchTokens };
}

/**
 * The checkpoints of an arm's model, in order; the end is not among them, that is the model itself. Only a stage's own
 * model and the from-scratch one, which trains at the last stage, have any.
 */
export function checkpoints(plan: ResolvedPlan, stage: number, arm: string): Checkpoint[] {
  if (stage === 0) return [];
  const { train } = plan.stages[stage - 1];
  const own = trainingSteps(plan, train, train.tokens);
  const halves = Array.from({ length: train.checkpoints }, (_, i) =>
    Math.round(own.steps / 2 ** (train.checkpoints - i)),
  );
  const kept = ascending(halves, own).filter(({ step }) => step > 0);
  if (arm === realArm) return kept;
  if (arm !== "scratch" || stage !== stageCount(plan) - 1 || train.checkpoints === 0) return [];
  const before = tokensBefore(plan, stage);
  const scratch = trainingSteps(plan, plan.model.train, before + train.tokens);
  const matched = [0, ...kept.map(({ tokens }) => tokens)].map((tokens) =>
    Math.round((before + tokens) / scratch.batchTokens),
  );
  return ascending(matched, scratch);
}

/** Tokens that the plan gives to all stages before `stage`. */
export function tokensBefore({ model, stages }: ResolvedPlan, stage: number): number {
  return stages
    .slice(0, stage - 1)
    .reduce((sum, { train }) => sum + train.tokens, model.train.tokens);
}

/** The folder of a checkpoint. */
export function checkpointDir(
  plan: ResolvedPlan,
  stage: number,
  arm: string,
  { step }: Pick<Checkpoint, "step">,
): string {
  return `${armDir(plan, stage, arm)}/checkpoints/step-${String(step).padStart(6, "0")}`;
}

/** Models that a stage's likeness is measured on: checkpoints, starts, ends and references. */
export function likenessModels(plan: ResolvedPlan, stage: number): number {
  const scratch = checkpoints(plan, stage, "scratch").length;
  return checkpoints(plan, stage, realArm).length + scratch + 6;
}

function ascending(taken: readonly number[], { steps, batchTokens }: TrainingSteps): Checkpoint[] {
  const unique = [...new Set(taken)].filter((step) => step < steps).sort((a, b) => a - b);
  return unique.map((step) => ({ step, tokens: step * batchTokens }));
}
