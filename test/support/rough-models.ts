// Small models of every family with weights far from zero, so that a wrong gain, bias, transposition, head order or
// frequency can't hide. The sizes are odd on purpose.
import { createRng } from "../../src/engine/index.ts";
import {
  gpt2Config,
  type HostModel,
  initModel,
  llamaConfig,
  type ModelConfig,
  mixtralConfig,
  neoxConfig,
} from "../../src/models/index.ts";

/** Tokens of every model's vocabulary. */
export const roughVocabulary = 61;

const sizes = { vocab_size: roughVocabulary, num_hidden_layers: 2 };
const neox = {
  ...sizes,
  max_position_embeddings: 20,
  hidden_size: 30,
  num_attention_heads: 3,
  intermediate_size: 41,
  layer_norm_eps: 1e-3,
};
const llama = {
  ...sizes,
  max_position_embeddings: 20,
  hidden_size: 28,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 6,
  intermediate_size: 37,
  rms_norm_eps: 1e-3,
};
const rope = { theta: 500, share: 1, scaling: null };

/** Configurations by what is particular about them. */
export const roughConfigs: Readonly<Record<string, ModelConfig>> = {
  neox: neoxConfig({ ...neox, rope: { theta: 300, share: 0.4, scaling: null } }),
  "neox tied, all of a head turns": neoxConfig({
    ...neox,
    tie_word_embeddings: true,
    rope: { theta: 10_000, share: 1, scaling: null },
  }),
  "neox one after the other, no attention biases, tanh GELU": neoxConfig({
    ...neox,
    use_parallel_residual: false,
    attention_bias: false,
    hidden_act: "gelu_new",
    rope: { theta: 300, share: 0.65, scaling: { rope_type: "linear", factor: 3 } },
  }),
  llama: llamaConfig({ ...llama, rope }),
  "llama tied, a key head for each query head": llamaConfig({
    ...llama,
    num_key_value_heads: 4,
    tie_word_embeddings: true,
    rope: { theta: 500, share: 1, scaling: { rope_type: "linear", factor: 2.5 } },
  }),
  "llama with biases, one key head, Llama 3.1's frequencies": llamaConfig({
    ...llama,
    num_key_value_heads: 1,
    head_dim: 10,
    attention_bias: true,
    mlp_bias: true,
    rope: {
      theta: 500,
      share: 1,
      scaling: {
        rope_type: "llama3",
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 16,
      },
    },
  }),
  mistral: llamaConfig({ ...llama, model_type: "mistral", rope }),
  "qwen2 tied": llamaConfig({ ...llama, model_type: "qwen2", tie_word_embeddings: true, rope }),
  qwen3: llamaConfig({ ...llama, model_type: "qwen3", head_dim: 10, rope }),
  "qwen3 tied, with biases": llamaConfig({
    ...llama,
    model_type: "qwen3",
    attention_bias: true,
    tie_word_embeddings: true,
    rope,
  }),
  mixtral: mixtralConfig({ ...llama, num_local_experts: 5, num_experts_per_tok: 2, rope }),
  "mixtral tied, three of three experts": mixtralConfig({
    ...llama,
    num_local_experts: 3,
    num_experts_per_tok: 3,
    tie_word_embeddings: true,
    rope,
  }),
};

/** The small models of every family, GPT-2 among them. */
export const everyFamily: Readonly<Record<string, ModelConfig>> = {
  gpt2: gpt2Config({
    vocab_size: roughVocabulary,
    n_positions: 20,
    n_embd: 30,
    n_head: 3,
    n_layer: 2,
    n_inner: 41,
    layer_norm_epsilon: 1e-3,
  }),
  ...roughConfigs,
};

/** A model with every weight moved by normal noise of deviation 0.15. */
export function roughModel<C extends ModelConfig>(config: C, seed: number | string): HostModel<C> {
  const rng = createRng(seed);
  const { weights } = initModel(config, rng);
  const moved = [...weights].map(([name, { shape, data }]) => {
    const noise = rng.fork(`rough ${name}`);
    const values = Float32Array.from(data as Float32Array, (x) => x + 0.15 * noise.normal());
    return [name, { shape, data: values }] as const;
  });
  return { config, weights: new Map(moved) };
}
