/** The model of a stage's shape with random weights: what an SAE or a crosscoder finds where nothing was inherited. */
import { type HostModel, initModel } from "../../../src/models/index.ts";
import type { TaskContext } from "../task-context.ts";
import { stageConfigs } from "./language-model.ts";

/** The same weights wherever it is asked for. */
export function reinitModel(context: TaskContext, stage: number): HostModel {
  return initModel(stageConfigs(context)[stage], context.rng(`reinit ${stage}`));
}
