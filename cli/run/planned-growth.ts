/** What a plan's expansions make of the base model's configuration, before any of it exists. */
import { childConfig, type ExpandOptions, parseGrowth } from "../../src/expansion/index.ts";
import { gpt2Config, loadConfig, type ModelConfig } from "../../src/models/index.ts";
import type { ResolvedPlan } from "../plan/types.ts";

/** The growth options of stage `stage` (≥ 1) for a parent of this configuration. Errors: UsageError naming the size. */
export function plannedGrowth(
  plan: ResolvedPlan,
  stage: number,
  parent: ModelConfig,
): { options: ExpandOptions; notes: string[] } {
  const { expand } = plan.stages[stage - 1];
  return parseGrowth(
    {
      width: expand.width ?? undefined,
      layers: expand.layers ?? undefined,
      heads: expand.heads ?? undefined,
      mlp: expand.mlp ?? undefined,
      method: expand.method,
      "depth-method": expand.depth_method,
      positions: expand.positions,
      "noise-db": expand.noise_db,
    },
    parent,
  );
}

/** The configuration of every stage's model, the base's first. Errors: UsageError for an expansion that can't be. */
export function plannedConfigs(
  plan: ResolvedPlan,
  vocabulary: { readonly size: number; readonly endOfText: number },
): ModelConfig[] {
  const base =
    plan.model.path === null
      ? gpt2Config({
          vocab_size: vocabulary.size,
          n_positions: plan.data.context,
          n_embd: plan.model.d_model,
          n_layer: plan.model.layers,
          n_head: plan.model.heads,
          n_inner: plan.model.mlp,
          end_of_text: vocabulary.endOfText,
        })
      : loadConfig(plan.model.path);
  const configs: ModelConfig[] = [base];
  for (let stage = 1; stage <= plan.stages.length; stage++) {
    const parent = configs[stage - 1];
    configs.push(childConfig(parent, plannedGrowth(plan, stage, parent).options));
  }
  return configs;
}
