/** What a plan's expansions make of the base model's configuration, before any of it exists. */
import { createRng, type Rng } from "../../src/engine/index.ts";
import {
  childConfig,
  type ExpandOptions,
  learnDefaults,
  type PlannedExpansion,
  parseGrowth,
  planExpansion,
} from "../../src/expansion/index.ts";
import { loadConfig, type ModelConfig, newConfig } from "../../src/models/index.ts";
import type { ResolvedPlan } from "../plan/types.ts";

/** What a configuration takes from the tokenizer. */
export interface Vocabulary {
  readonly size: number;
  /** The id of the token that ends a document. */
  readonly endOfText: number;
}

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
      "kv-heads": expand.kv_heads ?? undefined,
      "head-dim": expand.head_dim ?? undefined,
      mlp: expand.mlp ?? undefined,
      vocab: expand.vocab ?? undefined,
      experts: expand.experts ?? undefined,
      "experts-per-token": expand.experts_per_token ?? undefined,
      method: expand.method,
      "depth-method": expand.depth_method,
      positions: expand.positions,
      "noise-db": expand.noise_db,
      "ligo-steps": expand.ligo_steps,
      "ligo-lr": expand.ligo_lr,
    },
    parent,
  );
}

/** The configuration of a base model that is trained from scratch. Errors: UsageError naming the size; `where` names the plan. */
export function baseConfig(
  { model, data }: ResolvedPlan,
  vocabulary: Vocabulary,
  where?: string,
): ModelConfig {
  return newConfig(
    model.family,
    {
      vocabSize: vocabulary.size,
      context: data.context,
      dModel: model.d_model,
      nLayer: model.layers,
      nHead: model.heads,
      nKvHead: model.kv_heads ?? model.heads,
      dMlp: model.mlp,
      endOfText: vocabulary.endOfText,
    },
    where,
  );
}

/** The stream that an expansion draws from. */
export function growthRng({ seed }: Pick<ResolvedPlan, "seed">, stage: number): Rng {
  return createRng(`seed ${seed}`).fork(`expand ${stage}`);
}

/** The growth of stage `stage` (≥ 1) as its expansion draws it: where every entry of the child comes from. */
export function drawnGrowth(
  plan: ResolvedPlan,
  stage: number,
  parent: ModelConfig,
): PlannedExpansion {
  return planExpansion(parent, plannedGrowth(plan, stage, parent).options, growthRng(plan, stage));
}

/** Tokens that the expansion of stage `stage` learns on before there is a model to train. */
export function learnedTokens({ stages }: ResolvedPlan, stage: number): number {
  if (stage === 0) return 0;
  const { method, ligo_steps } = stages[stage - 1].expand;
  return method === "ligo" ? ligo_steps * learnDefaults.batchTokens : 0;
}

/** The configuration of every stage's model, the base's first. Errors: UsageError for an expansion that can't be. */
export function plannedConfigs(plan: ResolvedPlan, vocabulary: Vocabulary): ModelConfig[] {
  const base =
    plan.model.path === null ? baseConfig(plan, vocabulary) : loadConfig(plan.model.path);
  const configs: ModelConfig[] = [base];
  for (let stage = 1; stage <= plan.stages.length; stage++) {
    const parent = configs[stage - 1];
    configs.push(childConfig(parent, plannedGrowth(plan, stage, parent).options));
  }
  return configs;
}
