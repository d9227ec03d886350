/**
 * The GPT-2 family's configuration as Hugging Face stores it in `config.json`: pre-norm blocks,
 * learned positions, tied embeddings, GELU (tanh form). Other settings are refused by name rather
 * than half supported.
 */
import type { NewModelSizes } from "./config.ts";
import { checkModelType, configFields, ungrouped } from "./config-fields.ts";

/** The fields of a GPT-2 `config.json` that decide the computation. */
export interface Gpt2Config {
  readonly model_type: "gpt2";
  readonly architectures: readonly ["GPT2LMHeadModel"];
  readonly vocab_size: number;
  /** Longest context. */
  readonly n_positions: number;
  /** Residual width d_model. */
  readonly n_embd: number;
  readonly n_layer: number;
  readonly n_head: number;
  /** MLP width. */
  readonly n_inner: number;
  readonly layer_norm_epsilon: number;
  readonly activation_function: "gelu_new";
  readonly tie_word_embeddings: true;
  readonly bos_token_id: number;
  readonly eos_token_id: number;
}

/** Sizes that a caller chooses; the rest has GPT-2's values. */
export interface Gpt2Sizes {
  readonly vocab_size: number;
  readonly n_positions: number;
  readonly n_embd: number;
  readonly n_layer: number;
  readonly n_head: number;
  readonly n_inner?: number;
  readonly layer_norm_epsilon?: number;
  /** The id of <|endoftext|>. */
  readonly end_of_text?: number;
}

/** A configuration of the given sizes. Errors: UsageError when the heads don't divide the width. */
export function gpt2Config(sizes: Gpt2Sizes, where = "model"): Gpt2Config {
  const end = sizes.end_of_text ?? 0;
  return parseGpt2Config(
    {
      model_type: "gpt2",
      vocab_size: sizes.vocab_size,
      n_positions: sizes.n_positions,
      n_embd: sizes.n_embd,
      n_layer: sizes.n_layer,
      n_head: sizes.n_head,
      n_inner: sizes.n_inner ?? 4 * sizes.n_embd,
      layer_norm_epsilon: sizes.layer_norm_epsilon ?? 1e-5,
      bos_token_id: end,
      eos_token_id: end,
    },
    where,
  );
}

/** The configuration of a new model. Errors: UsageError when the sizes don't fit together. */
export function newGpt2Config(sizes: NewModelSizes, where: string): Gpt2Config {
  if (sizes.nKvHead !== sizes.nHead) throw ungrouped("GPT-2", sizes, where);
  return gpt2Config(
    {
      vocab_size: sizes.vocabSize,
      n_positions: sizes.context,
      n_embd: sizes.dModel,
      n_layer: sizes.nLayer,
      n_head: sizes.nHead,
      n_inner: sizes.dMlp,
      end_of_text: sizes.endOfText,
    },
    where,
  );
}

/** Reads the parsed JSON of a `config.json`. Errors: UsageError naming the field. */
export function parseGpt2Config(json: unknown, where: string): Gpt2Config {
  const fields = configFields(json, where);
  checkModelType(fields, where, ["gpt2"]);
  const n_embd = fields.size("n_embd");
  const n_head = fields.size("n_head");
  if (n_embd % n_head !== 0) throw fields.bad("n_head", `a divisor of the width ${n_embd}`);
  const layer_norm_epsilon = fields.positive("layer_norm_epsilon", 1e-5);
  fields.fixed("activation_function", "gelu_new");
  fields.fixed("tie_word_embeddings", true);
  fields.fixed("scale_attn_weights", true);
  fields.fixed("scale_attn_by_inverse_layer_idx", false);
  fields.fixed("add_cross_attention", false);
  const vocab_size = fields.size("vocab_size");
  const tokenId = (name: string): number => {
    const id = fields.tokens(name, vocab_size) ?? 0;
    if (typeof id !== "number") throw fields.bad(name, `a token id below ${vocab_size}`);
    return id;
  };
  return {
    model_type: "gpt2",
    architectures: ["GPT2LMHeadModel"],
    vocab_size,
    n_positions: fields.size("n_positions"),
    n_embd,
    n_layer: fields.size("n_layer"),
    n_head,
    n_inner: fields.size("n_inner", 4 * n_embd),
    layer_norm_epsilon,
    activation_function: "gelu_new",
    tie_word_embeddings: true,
    bos_token_id: tokenId("bos_token_id"),
    eos_token_id: tokenId("eos_token_id"),
  };
}

/** What is written to `config.json`: the configuration and what transformers needs to load it for inference. */
export function gpt2ConfigJson(config: Gpt2Config): Record<string, unknown> {
  return {
    ...config,
    attn_pdrop: 0,
    embd_pdrop: 0,
    resid_pdrop: 0,
    initializer_range: 0.02,
    scale_attn_weights: true,
    torch_dtype: "float32",
    use_cache: true,
  };
}
