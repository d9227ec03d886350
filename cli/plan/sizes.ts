/**
 * @file The configurations of the models that a plan makes, worked out before anything runs: so an
 * impossible width, a child smaller than its parent or a hook that the model lacks is refused at once.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { checkPlannedNorm, type RuntimeNorm, runtimeNorms } from "../../sae/index.ts";
import { childConfig, plannedMap } from "../../src/expansion/index.ts";
import { UsageError } from "../../src/io/index.ts";
import {
  blockHook,
  hookNames,
  hookWidth,
  loadConfig,
  type ModelConfig,
} from "../../src/models/index.ts";
import { checkSaeFits } from "../commands/sae-fits.ts";
import { modelOrigin, originWarnings, saeOrigin } from "../origin.ts";
import { frozenEntries } from "../run/frozen.ts";
import { realArm } from "../run/layout.ts";
import { baseConfig, growthRng, plannedGrowth } from "../run/planned-growth.ts";
import { importedSae } from "./imported-sae.ts";
import type { ResolvedPlan, SaePlan } from "./types.ts";

/**
 * One configuration per stage, the base first. Notes say how relative sizes were rounded.
 * Errors: UsageError that names the plan's key.
 */
export function stageConfigs(
  plan: ResolvedPlan,
  where: string,
): { readonly configs: ModelConfig[]; readonly notes: string[] } {
  const { model, tokenizer } = plan;
  // a run holds its base model: the checkpoint that it came from may be gone by now
  const isThere = model.path !== null && existsSync(join(model.path, "config.json"));
  let config: ModelConfig = isThere
    ? loadConfig(model.path as string)
    : baseConfig(plan, { size: tokenizer.vocab_size, endOfText: 0 }, `${where} model`);
  const notes: string[] = [];
  for (const [i, sae] of plan.saes.entries()) {
    for (const key of ["hook", "hook_out"] as const) {
      const hook = sae[key];
      if (hook !== null) named(`${where} saes[${i}].${key}`, () => hookWidth(config, hook));
    }
    notes.push(...checkImported(plan, sae, config, `${where} saes[${i}].from`));
    checkOrder(hookNames(config), sae, `${where} saes[${i}].hook_out`);
  }
  const configs = [config];
  let normed = normedSaes(plan);
  for (const [i, stage] of plan.stages.entries()) {
    const parent = config;
    config = named(`${where} stages[${i}].expand`, () => {
      const growth = plannedGrowth(plan, i + 1, parent);
      notes.push(...growth.notes.map((note) => `${stage.name}: ${note}`));
      return childConfig(parent, growth.options);
    });
    configs.push(config);
    for (const [s, sae] of plan.saes.entries()) {
      // the one hook that a model can lose: neurons of an MLP that becomes experts
      const names = hookNames(config);
      const lost = (["hook", "hook_out"] as const).find(
        (key) => sae[key] !== null && !names.includes(sae[key]),
      );
      if (lost === undefined) continue;
      throw new UsageError({
        code: "hook-not-carried",
        where: `${where} saes[${s}].${lost}`,
        expected: `a hook that the model of stages[${i}] has too, such as ${blockHook(0, "hook_mlp_out")}`,
        got: sae[lost] ?? "",
        hint: "Neurons of an MLP that becomes experts have no one place: which of them hold a token's depends on the token.",
      });
    }
    frozenEntries(plan, i + 1, realArm, parent);
    normed = carriedNorms(plan, i + 1, parent, normed, where);
  }
  return { configs, notes };
}

/** An SAE with a norm by row, at its hook in the model of some stage. */
interface NormedSae {
  /** Its place in the plan. */
  readonly index: number;
  readonly hook: string;
  readonly norm: RuntimeNorm;
}

function normedSaes({ saes }: ResolvedPlan): NormedSae[] {
  return saes.flatMap(({ hook, normalize_activations: name }, index) => {
    const norm = runtimeNorms.find((other) => other === name && other !== "none");
    return norm === undefined ? [] : [{ index, hook, norm }];
  });
}

/** The same at their hooks after stage `stage` (≥ 1), which must let their norms pass: its training would be for nothing. */
function carriedNorms(
  plan: ResolvedPlan,
  stage: number,
  parent: ModelConfig,
  saes: readonly NormedSae[],
  where: string,
): NormedSae[] {
  if (saes.length === 0) return [];
  const { options } = plannedGrowth(plan, stage, parent);
  const map = plannedMap(parent, options, growthRng(plan, stage));
  return saes.map(({ index, hook, norm }) => {
    const cfg = {
      normalize_activations: norm,
      d_in: hookWidth(parent, hook),
      hook_name: hook,
    };
    const key = `${where} saes[${index}].normalize_activations, stages[${stage - 1}].expand`;
    return { index, norm, hook: named(key, () => checkPlannedNorm(cfg, map)) };
  });
}

/** Whether an SAE that exists fits the model; what its files say of another model or tokenizer. */
function checkImported(
  { model }: ResolvedPlan,
  sae: SaePlan,
  config: ModelConfig,
  where: string,
): string[] {
  if (sae.from === null || !existsSync(sae.from)) return [];
  checkSaeFits(importedSae(sae, where), config, `${where} (${sae.from})`);
  const from = sae.from;
  return originWarnings(saeOrigin(from), modelOrigin(model.path as string), "the model").map(
    (warning) => `${sae.name}: ${warning}`,
  );
}

/** A transcoder's output can stand in for what it reconstructs only where what it reads comes before. */
function checkOrder(names: readonly string[], { hook, hook_out }: SaePlan, where: string): void {
  if (hook_out === null || names.indexOf(hook_out) > names.indexOf(hook)) return;
  throw new UsageError({
    code: "hook-order",
    where,
    expected: `a hook that the model computes after ${hook}`,
    got: hook_out,
    hint: "A transcoder of an MLP reads blocks.0.mlp.hook_in and reconstructs blocks.0.hook_mlp_out.",
  });
}

// The parts below speak of flags and hooks; the plan's key is put before what they say.
function named<T>(key: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const { code, where, expected, got, hint } = error;
    throw new UsageError({ code, where: `${key} (${where})`, expected, got, hint, cause: error });
  }
}
