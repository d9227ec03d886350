/**
 * @file What each parameter of a family is to growth: which of its dimensions reads the stream, writes into it, or
 * counts heads or neurons. Layout traps live here: Conv1D weights are [in, out] and `c_attn` fuses q|k|v; GPT-NeoX's
 * `query_key_value` has its rows by head, q, k and v of one head together; keys and values of a Llama have heads of their own.
 */
import { type ModelConfig, modelSizes } from "../models/index.ts";
import type { HeadDims } from "./head-dims.ts";
import { type AxisMap, blockAxis, concatAxes } from "./plan/axis-map.ts";
import type { WholeCopy } from "./plan/growth-plan.ts";

/** Axes of heads, of the numbers within one, and of neurons, as outputs of what reads the stream. */
export interface UnitAxes {
  readonly heads: AxisMap;
  readonly kvHeads: AxisMap;
  readonly dims: HeadDims;
  readonly neurons: AxisMap;
}

/** What the outputs of a matrix that reads the stream are. */
export type ReadUnits = "queries" | "keys" | "values" | "neurons";

/**
 * One part of a block: a norm, a matrix that reads the normed stream or writes into it, the gain of the norm of each
 * head, or a router [experts, d], which the parent may lack. `from` is the part's name in the parent where that is another,
 * `copy` which of several copies of it this one is.
 */
export type BlockPart = (
  | { readonly kind: "norm" }
  | { readonly kind: "head-norm"; readonly gain: "queryGain" | "keyGain" }
  | { readonly kind: "router" }
  | {
      readonly kind: "read";
      readonly output: (axes: UnitAxes, config: ModelConfig) => AxisMap;
      /** The norm of each head that its output goes through, where the model has one. */
      readonly normedBy?: string;
      /** What is fused in it, in order. */
      readonly holds: readonly ReadUnits[];
      /** Whether that order is kept within each head, and not over the whole axis. Default false. */
      readonly byHead?: boolean;
    }
  | { readonly kind: "write"; readonly units: "heads" | "neurons" }
) & { readonly name: string; readonly from?: string; readonly copy?: WholeCopy };

/** A family's layout. */
export interface FamilyLayout {
  /** Whether linear weights are [out, in]. */
  readonly outputsFirst: boolean;
  readonly norm: "layer" | "rms";
  readonly finalNorm: string;
  readonly embedding: string;
  /** Learned positions, or null. */
  readonly positions: string | null;
  /** The unembedding's name where it isn't the embedding. */
  readonly unembedding: string;
  /** In the order they are stored. */
  readonly parts: readonly BlockPart[];
}

const headDim = (config: ModelConfig): number => modelSizes(config).headDim;
const neurons = ({ neurons }: UnitAxes): AxisMap => neurons;
const queries = ({ heads, dims }: UnitAxes, config: ModelConfig): AxisMap =>
  blockAxis(heads, headDim(config), dims.query);
const keys = ({ kvHeads, dims }: UnitAxes, config: ModelConfig): AxisMap =>
  blockAxis(kvHeads, headDim(config), dims.key);
const values = ({ kvHeads, dims }: UnitAxes, config: ModelConfig): AxisMap =>
  blockAxis(kvHeads, headDim(config), dims.value);

const gpt2: FamilyLayout = {
  outputsFirst: false,
  norm: "layer",
  finalNorm: "transformer.ln_f",
  embedding: "transformer.wte.weight",
  positions: "transformer.wpe.weight",
  unembedding: "lm_head.weight",
  parts: [
    { kind: "norm", name: "ln_1" },
    {
      kind: "read",
      name: "attn.c_attn",
      output: (axes, config) =>
        concatAxes(
          [queries, keys, values].map((part) => part(axes, config)),
          modelSizes(config).nHead * headDim(config),
        ),
      holds: ["queries", "keys", "values"],
    },
    { kind: "write", name: "attn.c_proj", units: "heads" },
    { kind: "norm", name: "ln_2" },
    { kind: "read", name: "mlp.c_fc", output: neurons, holds: ["neurons"] },
    { kind: "write", name: "mlp.c_proj", units: "neurons" },
  ],
};

const neox: FamilyLayout = {
  outputsFirst: true,
  norm: "layer",
  finalNorm: "gpt_neox.final_layer_norm",
  embedding: "gpt_neox.embed_in.weight",
  positions: null,
  unembedding: "embed_out.weight",
  parts: [
    { kind: "norm", name: "input_layernorm" },
    { kind: "norm", name: "post_attention_layernorm" },
    {
      kind: "read",
      name: "attention.query_key_value",
      output: ({ heads, dims: { query, key, value } }, config) => {
        const size = headDim(config);
        return blockAxis(heads, 3 * size, concatAxes([query, key, value], size));
      },
      holds: ["queries", "keys", "values"],
      byHead: true,
    },
    { kind: "write", name: "attention.dense", units: "heads" },
    { kind: "read", name: "mlp.dense_h_to_4h", output: neurons, holds: ["neurons"] },
    { kind: "write", name: "mlp.dense_4h_to_h", units: "neurons" },
  ],
};

const llama: FamilyLayout = {
  outputsFirst: true,
  norm: "rms",
  finalNorm: "model.norm",
  embedding: "model.embed_tokens.weight",
  positions: null,
  unembedding: "lm_head.weight",
  parts: [
    { kind: "norm", name: "input_layernorm" },
    {
      kind: "read",
      name: "self_attn.q_proj",
      output: queries,
      holds: ["queries"],
      normedBy: "self_attn.q_norm.weight",
    },
    {
      kind: "read",
      name: "self_attn.k_proj",
      output: keys,
      holds: ["keys"],
      normedBy: "self_attn.k_norm.weight",
    },
    { kind: "read", name: "self_attn.v_proj", output: values, holds: ["values"] },
    { kind: "head-norm", name: "self_attn.q_norm.weight", gain: "queryGain" },
    { kind: "head-norm", name: "self_attn.k_norm.weight", gain: "keyGain" },
    { kind: "write", name: "self_attn.o_proj", units: "heads" },
    { kind: "norm", name: "post_attention_layernorm" },
    { kind: "read", name: "mlp.gate_proj", output: neurons, holds: ["neurons"] },
    { kind: "read", name: "mlp.up_proj", output: neurons, holds: ["neurons"] },
    { kind: "write", name: "mlp.down_proj", units: "neurons" },
  ],
};

const layouts = {
  gpt2,
  gpt_neox: neox,
  llama,
  mistral: llama,
  qwen2: llama,
  qwen3: llama,
} as const;

/** The parts of a Llama's MLP in the order in which Mixtral stores them, and their names in an expert. */
const expertParts = [
  ["w1", "mlp.gate_proj"],
  ["w2", "mlp.down_proj"],
  ["w3", "mlp.up_proj"],
] as const;

/** The names that a Llama's parameter has in the Mixtral that it becomes: one for each expert where it is the MLP's. */
export function upcycledNames(name: string, count: number): string[] {
  const part = expertParts.find(([, from]) => name.includes(`.${from}.`));
  if (!part) return [name];
  const [own, from] = part;
  return Array.from({ length: count }, (_, e) =>
    name.replace(`.${from}.`, `.block_sparse_moe.experts.${e}.${own}.`),
  );
}

/** A Mixtral's layout: a Llama's with a router and, for each expert, the parts of an MLP. */
function mixtral(count: number, isUpcycled: boolean): FamilyLayout {
  const router: BlockPart = { kind: "router", name: "block_sparse_moe.gate" };
  const experts = Array.from({ length: count }, (_, e) =>
    expertParts.map(([own, from]): BlockPart => {
      const part = llama.parts.find((dense) => dense.name === from) as BlockPart;
      const named = { ...part, name: `block_sparse_moe.experts.${e}.${own}` };
      return isUpcycled ? { ...named, from, copy: { index: e, of: count } } : named;
    }),
  );
  const others = llama.parts.filter((part) => !part.name.startsWith("mlp."));
  return { ...llama, parts: [...others, router, ...experts.flat()] };
}

/** The layout of a configuration's family, of a child that comes from `parent`. */
export function layoutOf(config: ModelConfig, parent: ModelConfig = config): FamilyLayout {
  return config.model_type === "mixtral"
    ? mixtral(config.num_local_experts, parent.model_type !== "mixtral")
    : layouts[config.model_type];
}
