/** Configurations of all families, and the sizes that they have in common. */
import type { Gpt2Config } from "./gpt2-config.ts";
import type { LlamaConfig } from "./llama-config.ts";
import type { MixtralConfig } from "./mixtral-config.ts";
import type { NeoxConfig } from "./neox-config.ts";
import type { Rope } from "./rope.ts";

/** A model's configuration: the fields of its family's `config.json` that decide the computation. */
export type ModelConfig = Gpt2Config | NeoxConfig | LlamaConfig | MixtralConfig;

/** Sizes that growth changes, and the rotary settings where heads of another size need others. */
export interface GrownSizes
  extends Pick<
    ModelSizes,
    "dModel" | "nLayer" | "nHead" | "nKvHead" | "headDim" | "dMlp" | "vocabSize" | "normEps"
  > {
  readonly rope?: Rope;
}

/** Sizes of a model to train from scratch; everything else has its family's usual value. */
export interface NewModelSizes
  extends Pick<
    ModelSizes,
    "vocabSize" | "context" | "dModel" | "nLayer" | "nHead" | "nKvHead" | "dMlp"
  > {
  /** The id of the token that ends a document. */
  readonly endOfText: number;
}

/** What every model has, whatever its family calls it. */
export interface ModelSizes {
  /** Width of the residual stream. */
  readonly dModel: number;
  readonly nLayer: number;
  /** Query heads. */
  readonly nHead: number;
  /** Key and value heads; fewer than `nHead` where queries are grouped. */
  readonly nKvHead: number;
  /** Numbers a head; nHead · headDim is the width of `attn.hook_z`. */
  readonly headDim: number;
  /** Neurons in an MLP layer, or in each of its experts. */
  readonly dMlp: number;
  /** Experts in a layer and how many of them a token uses; null where there is one MLP. */
  readonly experts: { readonly count: number; readonly perToken: number } | null;
  readonly vocabSize: number;
  /** Longest context in tokens. */
  readonly context: number;
  /** Whether the unembedding is the embedding. */
  readonly tied: boolean;
  /** The norms' epsilon. */
  readonly normEps: number;
}
