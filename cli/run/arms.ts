/** The SAEs of a stage by what they are for: one table that evaluation, comparison and reports agree on. */
import type { ArmRole } from "../../sae/persistence/index.ts";
import type { Arm, ResolvedPlan } from "../plan/types.ts";
import {
  carriedDir,
  expansionDir,
  modelDir,
  realArm,
  saeDir,
  stageCount,
  sweepArm,
} from "./layout.ts";

/** One SAE of a stage, the model it reads, and where both lie in the run. */
export interface StageArm {
  readonly arm: string;
  readonly role: ArmRole;
  readonly seed: number;
  readonly sae: string;
  readonly model: string;
  /** Of continued arms: how many times the carried one's tokens. */
  readonly times?: number;
  /** How parent directions look there: through the expansion map, as they are, or not at all. */
  readonly frame: "mapped" | "parent" | "none";
}

/** The SAEs that a stage is compared through, the carried one first; the base has only its own. */
export function stageArms(plan: ResolvedPlan, stage: number, name: string): StageArm[] {
  const has = (arm: Arm): boolean => plan.controls.arms.includes(arm);
  const own = modelDir(plan, stage);
  const arms: StageArm[] = [
    {
      arm: realArm,
      role: "carried",
      seed: 0,
      sae: saeDir(plan, stage, name),
      model: own,
      frame: "mapped",
    },
  ];
  const seeds = Array.from({ length: plan.controls.fresh_seeds }, (_, i) => i + 1);
  const isLast = stage === stageCount(plan) - 1;
  const add = (
    role: ArmRole,
    arm: string,
    model: string,
    frame: StageArm["frame"],
    sae: string = saeDir(plan, stage, name, arm),
    seed = 0,
  ): void => {
    arms.push({ arm, role, seed, sae, model, frame });
  };
  if (stage === 0) return arms;

  const parent = modelDir(plan, stage - 1);
  add(
    "carried-start",
    "carried-start",
    `${expansionDir(plan, stage)}/model`,
    "mapped",
    carriedDir(plan, stage, name),
  );
  if (has("frozen")) add("frozen", "frozen", own, "mapped", carriedDir(plan, stage, name));
  if (has("fresh")) {
    for (const seed of seeds) add("fresh", `fresh-${seed}`, own, "mapped", undefined, seed);
  }
  if (has("same-model")) add("same-model", "same-model", parent, "parent");
  const random = modelDir(plan, stage, "reinit");
  if (has("reinit")) add("reinit", "reinit", random, "mapped");
  if (has("rotated")) add("rotated", "rotated", own, "mapped");
  if (has("perturbed")) {
    add("perturbed", "perturbed", own, "mapped");
    if (has("reinit")) add("perturbed-reinit", "perturbed-reinit", random, "mapped");
  }
  for (const times of plan.controls.sweep) {
    const arm = sweepArm(times);
    const sae = saeDir(plan, stage, name, arm);
    arms.push({ arm, role: "continued", seed: 0, sae, model: own, frame: "mapped", times });
  }
  if (!isLast) return arms;

  if (has("fresh-parent")) {
    for (const seed of seeds) {
      const sae = saeDir(plan, stage - 1, name, `fresh-${seed}`);
      add("fresh-parent", `fresh-parent-${seed}`, parent, "parent", sae, seed);
    }
  }
  if (has("carried-scratch")) {
    add("carried-scratch", "carried-scratch", modelDir(plan, stage, "scratch"), "none");
  }
  if (has("scratch")) {
    for (const seed of seeds) {
      add("scratch", `scratch-${seed}`, modelDir(plan, stage, "scratch"), "none", undefined, seed);
    }
  }
  if (has("no-expand")) add("no-expand", "no-expand", modelDir(plan, stage, "no-expand"), "parent");
  return arms;
}

/** Groups of SAEs that read the same model, so that its activations are computed once. */
export function byModel(arms: readonly StageArm[]): Map<string, StageArm[]> {
  const groups = new Map<string, StageArm[]>();
  for (const arm of arms) groups.set(arm.model, [...(groups.get(arm.model) ?? []), arm]);
  return groups;
}
