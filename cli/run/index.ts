/** Runs a plan: `runPlan` is what `train` and `expand-and-track` call. */

export { type RunOptions, type RunResult, runPlan } from "./run-plan.ts";
