/**
 * GPT-NeoX's configuration (Black et al. 2022; Pythia): LayerNorm, rotary positions on a part of each head, attention
 * and MLP side by side or one after the other, biases, usually an unembedding of its own.
 */
import type { NewModelSizes } from "./config.ts";
import { checkModelType, configFields, type TokenIds, ungrouped } from "./config-fields.ts";
import { parseRope, type Rope, rotaryDims } from "./rope.ts";

/** Activations of an MLP: the exact GELU, or its tanh form under the three names it goes by. */
export const neoxActivations = ["gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh"] as const;

/** The fields of a GPT-NeoX `config.json` that decide the computation. */
export interface NeoxConfig {
  readonly model_type: "gpt_neox";
  readonly architectures: readonly ["GPTNeoXForCausalLM"];
  readonly vocab_size: number;
  /** Longest context. */
  readonly max_position_embeddings: number;
  /** Residual width d_model. */
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  /** MLP width. */
  readonly intermediate_size: number;
  readonly layer_norm_eps: number;
  readonly hidden_act: (typeof neoxActivations)[number];
  readonly use_parallel_residual: boolean;
  readonly attention_bias: boolean;
  readonly tie_word_embeddings: boolean;
  readonly rope: Rope;
  readonly bos_token_id: TokenIds;
  readonly eos_token_id: TokenIds;
}

/** Sizes that a caller chooses; the rest has Pythia's values. */
export type NeoxSizes = Pick<
  NeoxConfig,
  | "vocab_size"
  | "max_position_embeddings"
  | "hidden_size"
  | "num_hidden_layers"
  | "num_attention_heads"
> &
  Partial<NeoxConfig>;

/** A configuration of the given sizes. Errors: UsageError when the heads don't divide the width. */
export function neoxConfig(sizes: NeoxSizes, where = "model"): NeoxConfig {
  const { rope = { theta: 10_000, share: 0.25, scaling: null }, ...rest } = sizes;
  const intermediate_size = sizes.intermediate_size ?? 4 * sizes.hidden_size;
  return parseNeoxConfig(
    { model_type: "gpt_neox", ...rest, intermediate_size, ...ropeFields(rope) },
    where,
  );
}

/**
 * The configuration of a new model: a quarter of each head turns, as in Pythia, or the whole of it where a quarter is
 * no even number. Errors: UsageError when the sizes don't fit together.
 */
export function newNeoxConfig(sizes: NewModelSizes, where: string): NeoxConfig {
  if (sizes.nKvHead !== sizes.nHead) throw ungrouped("GPT-NeoX", sizes, where);
  const quarter = Math.floor(sizes.dModel / sizes.nHead / 4);
  return neoxConfig(
    {
      vocab_size: sizes.vocabSize,
      max_position_embeddings: sizes.context,
      hidden_size: sizes.dModel,
      num_hidden_layers: sizes.nLayer,
      num_attention_heads: sizes.nHead,
      intermediate_size: sizes.dMlp,
      rope: { theta: 10_000, share: quarter > 0 && quarter % 2 === 0 ? 0.25 : 1, scaling: null },
      bos_token_id: sizes.endOfText,
      eos_token_id: sizes.endOfText,
    },
    where,
  );
}

/** Reads the parsed JSON of a `config.json`. Errors: UsageError naming the field. */
export function parseNeoxConfig(json: unknown, where: string): NeoxConfig {
  const fields = configFields(json, where);
  checkModelType(fields, where, ["gpt_neox"]);
  const hidden_size = fields.size("hidden_size");
  const num_attention_heads = fields.size("num_attention_heads");
  if (hidden_size % num_attention_heads !== 0) {
    throw fields.bad("num_attention_heads", `a divisor of the width ${hidden_size}`);
  }
  const max_position_embeddings = fields.size("max_position_embeddings", 2048);
  const rope = parseRope(fields, max_position_embeddings, {
    theta: "rotary_emb_base",
    share: "rotary_pct",
    defaultShare: 0.25,
  });
  const headDim = hidden_size / num_attention_heads;
  const turning = rotaryDims(headDim, rope);
  if (turning % 2 !== 0 || turning > headDim || turning < 2) {
    throw fields.bad(
      "rotary_pct",
      `a share of the ${headDim} numbers of a head that makes an even number of them (here ${turning})`,
    );
  }
  const vocab_size = fields.size("vocab_size");
  return {
    model_type: "gpt_neox",
    architectures: ["GPTNeoXForCausalLM"],
    vocab_size,
    max_position_embeddings,
    hidden_size,
    num_hidden_layers: fields.size("num_hidden_layers"),
    num_attention_heads,
    intermediate_size: fields.size("intermediate_size"),
    layer_norm_eps: fields.positive("layer_norm_eps", 1e-5),
    hidden_act: fields.choice("hidden_act", neoxActivations),
    use_parallel_residual: fields.flag("use_parallel_residual", true),
    attention_bias: fields.flag("attention_bias", true),
    tie_word_embeddings: fields.flag("tie_word_embeddings", false),
    rope,
    bos_token_id: fields.tokens("bos_token_id", vocab_size),
    eos_token_id: fields.tokens("eos_token_id", vocab_size),
  };
}

/** What is written to `config.json`, in the field names that transformers 4 and 5 both read. */
export function neoxConfigJson({ rope, ...config }: NeoxConfig): Record<string, unknown> {
  return {
    ...config,
    ...ropeFields(rope),
    attention_dropout: 0,
    hidden_dropout: 0,
    initializer_range: 0.02,
    use_cache: true,
  };
}

function ropeFields({ theta, share, scaling }: Rope): Record<string, unknown> {
  return { rotary_emb_base: theta, rotary_pct: share, rope_scaling: scaling };
}
