/** Task: a stage's gates, judged by its model's held-out loss. A gate that fails stops the plan before its next expansion. */
import { evaluateGates, type Gate, type GatesDocument } from "../../../circuits/index.ts";
import { readTokenSet } from "../../../src/data/index.ts";
import { readJson, writeJsonAtomic } from "../../../src/io/index.ts";
import { heldOutLoss, loadModel, placeModel } from "../../../src/models/index.ts";
import type { ResolvedPlan } from "../../plan/types.ts";
import { dataDir, modelDir, stageDir, stageName } from "../layout.ts";
import type { TaskContext } from "../task-context.ts";
import { heldOutSubset } from "./held-out.ts";

/** Runs the task. It succeeds whether the gates pass or not: the scheduler reads the outcome. */
export async function gatesTask(context: TaskContext, stage: number): Promise<string[]> {
  const { plan } = context;
  const gates = plan.stages[stage - 1].gates.map(
    ({ kind, max, max_increase }): Gate => ({
      kind,
      ...(max === null ? {} : { max }),
      ...(max_increase === null ? {} : { max_increase }),
    }),
  );
  const document = evaluateGates(stageName(plan, stage), gates, {
    held_out_loss: await lossOf(context, stage),
    parent_held_out_loss: await lossOf(context, stage - 1),
  });
  const path = gatesPath(plan, stage);
  writeJsonAtomic(context.path(path), document);
  return [path];
}

/** Where a stage's gates are written. */
export function gatesPath(plan: ResolvedPlan, stage: number): string {
  return `${stageDir(plan, stage)}/gates.json`;
}

/** The stage's gates as they were judged. */
export function readGates(file: string): GatesDocument {
  return readJson(file) as GatesDocument;
}

async function lossOf(context: TaskContext, stage: number): Promise<number> {
  const { plan } = context;
  const set = heldOutSubset(
    readTokenSet(context.path(dataDir, "held-out.safetensors")),
    plan.eval.tokens,
  );
  const model = placeModel(loadModel(context.path(modelDir(plan, stage))));
  const { loss } = await heldOutLoss(model, set.ids, set.context);
  model.dispose();
  return loss;
}
