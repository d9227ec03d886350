/** @file What the commands and the run use of plans. */

export { type DryRun, type EstimateOptions, estimateRun } from "./estimate.ts";
export type { PlanFlags } from "./flags.ts";
export { type LoadedPlan, type LoadOptions, loadPlan } from "./load.ts";
export { parsePlan, readPlan } from "./parse.ts";
export { resolvePlan } from "./resolve.ts";
export { stageConfigs } from "./sizes.ts";
export {
  asBegun,
  checkAgainstStored,
  isRunFolder,
  planPath,
  planText,
  readStoredPlan,
  writePlan,
} from "./store.ts";
export type { MachineRate } from "./task-seconds.ts";
export type {
  Arm,
  BackendOption,
  CarryPlan,
  ControlsPlan,
  DataPlan,
  EvalPlan,
  ExpandPlan,
  GatePlan,
  Growth,
  ModelPlan,
  PlanInput,
  ReportPlan,
  ResolvedPlan,
  SaePlan,
  StageInput,
  StagePlan,
  TokenizerPlan,
  TrainPlan,
} from "./types.ts";
