// eval.json, and what map.json and check.json say of an expansion: a stage's model and SAEs before and after.

/** Sizes of a model. */
export interface ModelSize {
  readonly d_model: number;
  readonly n_layer: number;
  readonly n_head: number;
  readonly d_mlp: number;
  /** Experts in a layer, where there are any. */
  readonly n_expert?: number;
  readonly params: number;
}

/** `exactness` of eval.json and map.json. */
export interface Exactness {
  readonly max_abs_dlogit: number | null;
  readonly kl: number | null;
  readonly loss_parent: number | null;
  readonly loss_child: number | null;
  readonly boundaries: readonly {
    readonly hook_from: string;
    readonly hook_to: string;
    readonly rel_err: number | null;
  }[];
}

/** A measure right after the expansion and after training on. */
export interface BeforeAfter {
  readonly after_expansion: number | null;
  readonly after_training: number | null;
}

/** A model that a stage's model is compared with. */
export interface ControlModel {
  readonly held_out_loss: number | null;
  readonly tokens_trained: number | null;
  readonly flops_trained: number | null;
}

/** One SAE's evaluation. */
export interface SaeEvaluation {
  readonly arm: string;
  readonly sae: string;
  readonly seed: number | null;
  readonly l0: number | null;
  readonly fvu: number | null;
  readonly ce_loss_score_zero: number | null;
  readonly kl_div_score: number | null;
  readonly dead_fraction: number | null;
  readonly tokens: number | null;
}

/** `stages/<stage>/eval.json`. */
export interface StageEvaluation {
  readonly model: Partial<ModelSize> &
    ControlModel & {
      readonly held_out_se: number | null;
      readonly unigram_entropy: number | null;
      readonly loss_after_expansion: number | null;
    };
  readonly controls: Readonly<Record<string, ControlModel>>;
  readonly pca_fvu: number | null;
  readonly saes: readonly SaeEvaluation[];
  readonly exactness: Exactness | null;
  readonly off_image: BeforeAfter | null;
  readonly copy_spread: BeforeAfter | null;
}

/** `stages/<stage>/expansion/map.json`. */
export interface MapSummary {
  readonly method: string;
  readonly exact: boolean;
  readonly parent: ModelSize;
  readonly child: ModelSize;
  readonly fresh: readonly string[];
  readonly hooks: readonly { readonly r2: number | null }[];
  readonly exactness: Exactness | null;
}

/** `stages/<stage>/carried/<name>/check.json`: the carried SAE before any training. */
export interface CarryCheck {
  readonly same_latents: number | null;
  readonly fvu_parent: number | null;
  readonly fvu_parent_frame: number | null;
}
