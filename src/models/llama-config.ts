/**
 * The configurations of Llama (Touvron et al. 2023) and of the families that differ from it in a setting or two:
 * Mistral (windows no shorter than the context only), Qwen2 (biases on q, k and v), Qwen3 (an RMSNorm on each head's
 * q and k). RMSNorm, SwiGLU, rotary positions, grouped queries. Heads need not make up the width.
 */
import type { NewModelSizes } from "./config.ts";
import { type ConfigFields, checkModelType, configFields, type TokenIds } from "./config-fields.ts";
import { parseRope, type Rope } from "./rope.ts";

const architectures = {
  llama: "LlamaForCausalLM",
  mistral: "MistralForCausalLM",
  qwen2: "Qwen2ForCausalLM",
  qwen3: "Qwen3ForCausalLM",
} as const;

/** The model types that run as a Llama. */
export type LlamaType = keyof typeof architectures;

/** Names of the types. */
export const llamaTypes: readonly LlamaType[] = ["llama", "mistral", "qwen2", "qwen3"];

/** What Llama's configuration has in common with Mixtral's. */
export interface LlamaSharedConfig {
  readonly vocab_size: number;
  /** Longest context. */
  readonly max_position_embeddings: number;
  /** Residual width d_model. */
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly head_dim: number;
  /** MLP width. */
  readonly intermediate_size: number;
  /** Of every norm, those of Qwen3's heads included. */
  readonly rms_norm_eps: number;
  readonly hidden_act: "silu";
  readonly tie_word_embeddings: boolean;
  readonly rope: Rope;
  readonly bos_token_id: TokenIds;
  readonly eos_token_id: TokenIds;
}

/** The fields of a Llama-like `config.json` that decide the computation. */
export interface LlamaConfig extends LlamaSharedConfig {
  readonly model_type: LlamaType;
  readonly architectures: readonly [(typeof architectures)[LlamaType]];
  /** Biases of q, k, v and the output; a setting of Llama and Qwen3 (Qwen2 always has those of q, k and v). */
  readonly attention_bias: boolean;
  /** Biases of the MLP; a setting of Llama. */
  readonly mlp_bias: boolean;
}

/** Sizes that a caller chooses; the rest has Llama's values. */
export type LlamaSizes = Pick<
  LlamaConfig,
  | "vocab_size"
  | "max_position_embeddings"
  | "hidden_size"
  | "num_hidden_layers"
  | "num_attention_heads"
  | "intermediate_size"
> &
  Partial<LlamaConfig>;

/** A configuration of the given sizes. Errors: UsageError for sizes that don't fit together. */
export function llamaConfig(sizes: LlamaSizes, where = "model"): LlamaConfig {
  const { rope = { theta: 10_000, share: 1, scaling: null }, ...rest } = sizes;
  return parseLlamaConfig({ model_type: "llama", ...rest, ...ropeFields(rope) }, where);
}

/** The fields of a new model that Llama and its relatives share; its heads make up the width. */
export function newModelFields(sizes: NewModelSizes): Record<string, number> {
  return {
    vocab_size: sizes.vocabSize,
    max_position_embeddings: sizes.context,
    hidden_size: sizes.dModel,
    num_hidden_layers: sizes.nLayer,
    num_attention_heads: sizes.nHead,
    num_key_value_heads: sizes.nKvHead,
    head_dim: sizes.dModel / sizes.nHead,
    intermediate_size: sizes.dMlp,
    bos_token_id: sizes.endOfText,
    eos_token_id: sizes.endOfText,
  };
}

/** The configuration of a new model. Errors: UsageError when the sizes don't fit together. */
export function newLlamaConfig(
  model_type: LlamaType,
  sizes: NewModelSizes,
  where: string,
): LlamaConfig {
  // Mistral's own default is a window of 4096
  return parseLlamaConfig({ model_type, ...newModelFields(sizes), sliding_window: null }, where);
}

/** Reads the parsed JSON of a `config.json`. Errors: UsageError naming the field. */
export function parseLlamaConfig(json: unknown, where: string): LlamaConfig {
  const fields = configFields(json, where);
  const model_type = checkModelType(fields, where, llamaTypes) as LlamaType;
  const hasBias = model_type === "llama" || model_type === "qwen3";
  return {
    model_type,
    architectures: [architectures[model_type]],
    ...parseSharedFields(fields, {
      kvHeads: model_type === "llama" ? fields.size("num_attention_heads") : undefined,
      headDim: model_type === "qwen3" ? 128 : undefined,
      windowed: model_type !== "llama" && isWindowed(fields, model_type),
      window: 4096,
    }),
    attention_bias: hasBias && fields.flag("attention_bias", false),
    mlp_bias: model_type === "llama" && fields.flag("mlp_bias", false),
  };
}

/** What transformers assumes where a file leaves a field out. */
export interface SharedDefaults {
  /** Key heads; without it the field is required. */
  readonly kvHeads?: number;
  /** Default: the width over the heads. */
  readonly headDim?: number;
  /** Default 2048. */
  readonly context?: number;
  /** Default 1e-6. */
  readonly eps?: number;
  /** Default 10,000. */
  readonly theta?: number;
  /** Whether `sliding_window` counts. */
  readonly windowed: boolean;
  /** The window where the field is absent; null = none. */
  readonly window: number | null;
}

/** Reads what Llama's and Mixtral's configurations have in common. Errors: UsageError naming the field. */
export function parseSharedFields(
  fields: ConfigFields,
  { kvHeads, headDim, context = 2048, eps = 1e-6, theta, windowed, window }: SharedDefaults,
): LlamaSharedConfig {
  const hidden_size = fields.size("hidden_size");
  const num_attention_heads = fields.size("num_attention_heads");
  const num_key_value_heads = fields.size("num_key_value_heads", kvHeads);
  if (num_attention_heads % num_key_value_heads !== 0) {
    throw fields.bad("num_key_value_heads", `a divisor of the ${num_attention_heads} heads`);
  }
  const max_position_embeddings = fields.size("max_position_embeddings", context);
  const head_dim = fields.size(
    "head_dim",
    headDim ?? Math.floor(hidden_size / num_attention_heads),
  );
  if (head_dim % 2 !== 0) throw fields.bad("head_dim", `an even number (here ${head_dim})`);
  const names = { theta: "rope_theta", defaultTheta: theta };
  const rope = parseRope(fields, max_position_embeddings, names);
  if (rope.share !== 1) throw fields.bad("partial_rotary_factor", "1 (all that this version runs)");
  if (windowed) refuseWindows(fields, max_position_embeddings, window);
  const vocab_size = fields.size("vocab_size");
  return {
    vocab_size,
    max_position_embeddings,
    hidden_size,
    num_hidden_layers: fields.size("num_hidden_layers"),
    num_attention_heads,
    num_key_value_heads,
    head_dim,
    intermediate_size: fields.size("intermediate_size"),
    rms_norm_eps: fields.positive("rms_norm_eps", eps),
    hidden_act: fields.choice("hidden_act", ["silu"]),
    tie_word_embeddings: fields.flag("tie_word_embeddings", false),
    rope,
    bos_token_id: fields.tokens("bos_token_id", vocab_size),
    eos_token_id: fields.tokens("eos_token_id", vocab_size),
  };
}

/** What is written to `config.json`, in the field names that transformers 4 and 5 both read. */
export function llamaConfigJson({ rope, ...config }: LlamaConfig): Record<string, unknown> {
  return {
    ...config,
    ...ropeFields(rope),
    ...(config.model_type === "mistral" ? { sliding_window: null } : {}),
    attention_dropout: 0,
    initializer_range: 0.02,
    use_cache: true,
  };
}

/** Rotary settings under the names of configurations before transformers 5, which reads them too. */
export function ropeFields({ theta, scaling }: Rope): Record<string, unknown> {
  return { rope_theta: theta, rope_scaling: scaling };
}

/** Mistral has a window unless told otherwise, Qwen only where `use_sliding_window` says so. */
function isWindowed(fields: ConfigFields, type: LlamaType): boolean {
  return type === "mistral" || fields.flag("use_sliding_window", false);
}

function refuseWindows(fields: ConfigFields, context: number, fallback: number | null): void {
  const given = fields.raw("sliding_window");
  if (given === null || (given === undefined && fallback === null)) return;
  const window = fields.size("sliding_window", fallback ?? undefined);
  if (window >= context) return;
  throw fields.bad(
    "sliding_window",
    `null, or at least the context of ${context} tokens: windows are not run (here ${window}; with max_position_embeddings at most that, the model runs within one window)`,
  );
}
