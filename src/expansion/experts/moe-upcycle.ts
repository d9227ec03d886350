/**
 * @file Sparse upcycling (Komatsuzaki et al. 2022, arXiv 2212.05055) in Mixtral's form: every expert is a copy of the
 * dense MLP, the router is fresh. Exact for any router, since a token's gates sum to 1 and all experts are the same
 * function (top-k before the softmax: He et al. 2024, arXiv 2410.07524; the softmax of all experts without a new
 * normalisation would not be). Noise that tells the experts apart can't be exact while a token uses fewer than all: a sum
 * that is zero over all experts isn't over those that a token chose. Their data parts them: different tokens reach them.
 */
import { UsageError } from "../../io/index.ts";
import type { MixtralConfig, ModelConfig } from "../../models/index.ts";

/** Deviation of the fresh router's weights. */
export const routerDeviation = 0.02;

/** Experts that a token uses where nothing is said. */
export const defaultExpertsPerToken = 2;

/** How many experts there are and how many a token uses. */
export interface ExpertSizes {
  readonly experts: number;
  /** Default 2. */
  readonly expertsPerToken?: number;
}

/** Why a family has no place among Mixtral's weights. */
const reasons: Readonly<Partial<Record<ModelConfig["model_type"], string>>> = {
  gpt2: "transformers has no GPT-2 with experts",
  gpt_neox: "transformers has no GPT-NeoX with experts",
  qwen2: "Mixtral has no place for the biases of its queries, keys and values",
  qwen3: "Mixtral has no place for the norms of its heads",
  mixtral:
    "it has experts already, and copies of its router's rows would compete for the same places",
};

/**
 * The Mixtral that a Llama or Mistral of this configuration becomes. Errors: UsageError for families and settings that
 * Mixtral's layout can't hold, fewer than 2 experts, or more experts per token than experts.
 */
export function upcycledConfig(
  config: ModelConfig,
  { experts, expertsPerToken = defaultExpertsPerToken }: ExpertSizes,
): MixtralConfig {
  const refuse = (expected: string, got: string, hint?: string): never => {
    throw new UsageError({ code: "experts-unsupported", where: "--experts", expected, got, hint });
  };
  const { model_type } = config;
  if (model_type !== "llama" && model_type !== "mistral") {
    return refuse("a Llama or a Mistral", model_type, `For ${model_type}: ${reasons[model_type]}.`);
  }
  if (config.attention_bias || config.mlp_bias) {
    const name = config.attention_bias ? "attention_bias" : "mlp_bias";
    return refuse("a model without biases, as Mixtral is", `${name}: true`);
  }
  if (!Number.isSafeInteger(experts) || experts < 2) {
    return refuse("a whole number of at least 2", String(experts));
  }
  if (!Number.isSafeInteger(expertsPerToken) || expertsPerToken < 1 || expertsPerToken > experts) {
    throw new UsageError({
      code: "experts-per-token",
      where: "--experts-per-token",
      expected: `a whole number from 1 to the ${experts} experts`,
      got: String(expertsPerToken),
    });
  }
  const {
    model_type: _,
    architectures: __,
    attention_bias: ___,
    mlp_bias: ____,
    ...shared
  } = config;
  return {
    ...shared,
    model_type: "mixtral",
    architectures: ["MixtralForCausalLM"],
    num_local_experts: experts,
    num_experts_per_tok: expertsPerToken,
    router_aux_loss_coef: 0.001,
    output_router_logits: false,
  };
}
