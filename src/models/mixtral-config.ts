/**
 * The configuration of Mixtral (Jiang et al. 2024, arXiv 2401.04088): a Mistral whose MLPs are several experts, of
 * which each token uses a few. Windows shorter than the context and noise on the router's input are not run.
 */
import type { NewModelSizes } from "./config.ts";
import { checkModelType, configFields } from "./config-fields.ts";
import {
  type LlamaSharedConfig,
  newModelFields,
  parseSharedFields,
  ropeFields,
} from "./llama-config.ts";

/** The fields of a Mixtral's `config.json` that decide the computation. */
export interface MixtralConfig extends LlamaSharedConfig {
  readonly model_type: "mixtral";
  readonly architectures: readonly ["MixtralForCausalLM"];
  /** Experts in each layer, each an MLP of `intermediate_size` neurons. */
  readonly num_local_experts: number;
  /** Experts that a token uses. */
  readonly num_experts_per_tok: number;
  /** Weight of the load-balancing loss in training. */
  readonly router_aux_loss_coef: number;
  /** Whether transformers adds that loss too. */
  readonly output_router_logits: boolean;
}

/** Sizes that a caller chooses; the rest has Mixtral's values. */
export type MixtralSizes = Pick<
  MixtralConfig,
  | "vocab_size"
  | "max_position_embeddings"
  | "hidden_size"
  | "num_hidden_layers"
  | "num_attention_heads"
  | "num_key_value_heads"
  | "intermediate_size"
> &
  Partial<MixtralConfig>;

/** A configuration of the given sizes. Errors: UsageError for sizes that don't fit together. */
export function mixtralConfig(sizes: MixtralSizes, where = "model"): MixtralConfig {
  const { rope = { theta: 1e6, share: 1, scaling: null }, ...rest } = sizes;
  return parseMixtralConfig({ ...rest, model_type: "mixtral", ...ropeFields(rope) }, where);
}

/** The configuration of a new model with Mixtral's 8 experts, 2 a token. Errors: UsageError when the sizes don't fit together. */
export function newMixtralConfig(sizes: NewModelSizes, where: string): MixtralConfig {
  return parseMixtralConfig({ model_type: "mixtral", ...newModelFields(sizes) }, where);
}

/** Reads the parsed JSON of a `config.json`. Errors: UsageError naming the field. */
export function parseMixtralConfig(json: unknown, where: string): MixtralConfig {
  const fields = configFields(json, where);
  checkModelType(fields, where, ["mixtral"]);
  const num_local_experts = fields.size("num_local_experts", 8);
  const num_experts_per_tok = fields.size("num_experts_per_tok", 2);
  if (num_experts_per_tok > num_local_experts) {
    throw fields.bad("num_experts_per_tok", `at most the ${num_local_experts} experts`);
  }
  fields.fixed("router_jitter_noise", 0);
  const coefficient = fields.raw("router_aux_loss_coef");
  return {
    model_type: "mixtral",
    architectures: ["MixtralForCausalLM"],
    ...parseSharedFields(fields, {
      kvHeads: 8,
      context: 131_072,
      eps: 1e-5,
      theta: 1e6,
      windowed: true,
      window: null,
    }),
    num_local_experts,
    num_experts_per_tok,
    router_aux_loss_coef: coefficient === 0 ? 0 : fields.positive("router_aux_loss_coef", 0.001),
    output_router_logits: fields.flag("output_router_logits", false),
  };
}

/** What is written to `config.json`, in the field names that transformers 4 and 5 both read. */
export function mixtralConfigJson({ rope, ...config }: MixtralConfig): Record<string, unknown> {
  return {
    ...config,
    ...ropeFields(rope),
    sliding_window: null,
    router_aux_loss_coef: unwhole(config.router_aux_loss_coef),
    attention_dropout: 0,
    initializer_range: 0.02,
    use_cache: true,
  };
}

/** A number that JSON doesn't write without a point, next to `x`: transformers 5 takes no integer for this field. */
function unwhole(x: number): number {
  if (!Number.isInteger(x)) return x;
  return x === 0 ? Number.MIN_VALUE : x * (1 + Number.EPSILON);
}
