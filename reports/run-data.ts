/**
 * What a report is made from: the parts of a run's documents that are read, checked and typed.
 * Every part may be missing (null): a run that is still going, or was stopped by a gate, has a report
 * too. Field names are those of the files.
 */

/** A 95% interval. */
export type Interval = readonly [number, number] | null;

/** A number with its interval. */
export interface Estimate {
  readonly value: number | null;
  readonly ci: Interval;
}

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

/** A row of `arms` in persistence.json. */
export interface PersistenceArm {
  readonly arm: string;
  readonly role: string;
  readonly sae: string;
  readonly seed: number | null;
  readonly l0: number | null;
  readonly fvu: number | null;
  readonly ce_loss_score_zero: number | null;
  readonly matched: boolean | null;
  readonly function: number | null;
  readonly match: number | null;
}

/** A cell of the 2×2 or a ceiling. */
export interface Cell {
  readonly function: number | null;
  readonly match: number | null;
  readonly ci: Interval;
}

export type CellName = "CG" | "FG" | "CS" | "FS" | "CP" | "FP";

/** A threshold max(floor, 99th percentile of the null). */
export interface Threshold {
  readonly floor: number;
  readonly null_p99: number | null;
  readonly used: number;
}

/** Counts over shared bins. */
export interface Histograms {
  readonly edges: readonly number[];
  readonly correlation: {
    readonly carried: readonly number[];
    readonly fresh: readonly number[];
    readonly null: readonly number[];
  };
  readonly cosine: {
    readonly carried: readonly number[];
    readonly reinit: readonly number[];
    readonly null: readonly number[];
  };
}

/** `persistence.json`. */
export interface PersistenceSummary {
  readonly stage: string;
  readonly name: string;
  readonly tokens: number | null;
  readonly arms: readonly PersistenceArm[];
  readonly thresholds: {
    readonly cosine: Threshold;
    readonly correlation: Threshold;
    readonly containment: number;
  };
  readonly counts: Readonly<Record<string, number | null>>;
  readonly eligible: number;
  readonly persisted: Estimate;
  readonly reinit_persisted: Estimate | null;
  readonly start_kept: Estimate | null;
  readonly inertia: {
    readonly carried: number | null;
    readonly carried_scratch: number | null;
    readonly reinit: number | null;
    readonly rotated: number | null;
  };
  readonly perturb_and_return: PerturbSummary | null;
  readonly continuation:
    | readonly {
        readonly times: number;
        readonly function: number | null;
        readonly ci: Interval;
        readonly to_start: number | null;
      }[]
    | null;
  readonly cells: Readonly<Record<CellName, Cell | null>>;
  readonly corrected: Estimate | null;
  readonly inheritance: (Estimate & { readonly of_findable: number | null }) | null;
  readonly carry_bonus: Estimate | null;
  readonly tokens_ratio: number | null;
  readonly histograms: Histograms | null;
  readonly warnings: readonly string[];
  /** A crosscoder between parent and child; null without one. */
  readonly crosscoder: CrosscoderSummary | null;
}

/** How many latents are in each class of a crosscoder. */
export interface CrosscoderCounts {
  readonly unknown: number;
  readonly shared: number;
  readonly parent_only: number;
  readonly child_only: number;
}

/** What a crosscoder is on held-out tokens. */
export interface CrosscoderFigures {
  readonly architecture: string;
  readonly d_sae: number;
  readonly l0: number;
  readonly fvu_parent: number | null;
  readonly fvu_child: number | null;
  readonly latents: CrosscoderCounts;
  readonly by_norm: CrosscoderCounts;
  readonly aligned: number;
  readonly unmasked: { readonly shrinkage: number; readonly decoupling: number };
}

/** `crosscoder` of persistence.json. */
export interface CrosscoderSummary extends CrosscoderFigures {
  readonly verdicts: readonly (CrosscoderCounts & {
    readonly verdict: string;
    readonly aligned: number;
    readonly none: number;
  })[];
  readonly persisted_shared: number | null;
  readonly died_parent_only: number | null;
  readonly kappa: number | null;
  readonly reinit: CrosscoderFigures | null;
}

/** Where turned latents ended. */
export interface ReturnedSummary {
  readonly returned: Estimate;
  readonly stayed: Estimate;
  readonly to_parent: number | null;
}

/** Some latents of the carried SAE were turned before it trained on. */
export interface PerturbSummary extends ReturnedSummary {
  readonly turned: number;
  readonly unturned: number | null;
  readonly put_to_parent: number | null;
  readonly unturned_to_parent: number | null;
  readonly reinit: ReturnedSummary | null;
}

/** `persistence/<name>.arrow`: parent latents, then child latents. NaN = not measured. */
export interface VerdictTable {
  readonly rows: number;
  readonly isChild: Uint8Array;
  readonly latent: Int32Array;
  readonly verdict: readonly string[];
  readonly detail: readonly string[];
  /** The latent of the other side, −1 where there is none. */
  readonly match: Int32Array;
  /** All of them, that one first: several where a latent is in pieces or merged. */
  readonly matches: readonly (readonly number[])[];
  readonly lineageStage: readonly string[];
  readonly firingsParent: Int32Array;
  readonly firingsChild: Int32Array;
  readonly measures: Readonly<Record<MeasureName, Float32Array>>;
}

/** Columns of figures that the report shows. */
export const measureNames = [
  "corr",
  "cos",
  "enc_cos",
  "cos_whitened",
  "contain_pc",
  "contain_cp",
  "jaccard",
  "null_corr_p99",
  "null_cos_p99",
  "q",
  "fresh_rate",
  "probe_r2",
  "beta",
  "set_r2",
  "set_gain",
  "set_coverage",
  "null_gain_p99",
  "set_q",
  "set_fresh_rate",
  "set_seed_rate",
] as const;
/** One of {@link measureNames}. */
export type MeasureName = (typeof measureNames)[number];

/** A stretch of text around a latent's strong firing. */
export interface LatentContext {
  readonly doc: number;
  readonly pos: number;
  readonly tokens: readonly string[];
  readonly activations: readonly number[];
}

/** A token that a latent speaks for or against. */
export interface TokenLogit {
  readonly token: string;
  readonly value: number;
}

/** `features.arrow`; rows by latent. */
export interface FeatureTable {
  readonly density: Float32Array;
  readonly maxActivation: Float32Array;
  readonly contexts: (latent: number) => readonly LatentContext[];
  readonly topLogits: (latent: number) => readonly TokenLogit[];
  readonly bottomLogits: (latent: number) => readonly TokenLogit[];
}

/** A ratio, or why there is none. */
export interface Score extends Estimate {
  readonly reason: string | null;
}

export interface CircuitNodeRef {
  readonly type: string;
  readonly layer: number;
  readonly index: number;
  readonly score: number;
}

/** One head's score beside its own null. */
export interface HeadScore {
  readonly layer: number;
  readonly index: number;
  readonly score: number;
  readonly null: number;
}

/** Scores of one circuit. */
export interface CircuitScores {
  readonly faithfulness: Score;
  readonly completeness: number | null;
  readonly without_error: number | null;
  readonly random_same_kinds: { readonly mean: number | null; readonly sd: number | null } | null;
}

/** Head scores by kind, [layer][head]. */
export interface HeadScoreTables {
  readonly length: number;
  readonly sequences: number;
  readonly induction: readonly (readonly number[])[];
  readonly previous_token: readonly (readonly number[])[];
  readonly duplicate_token: readonly (readonly number[])[];
  readonly null: {
    readonly induction: readonly (readonly number[])[];
    readonly previous_token: readonly (readonly number[])[];
    readonly duplicate_token: readonly (readonly number[])[];
  };
}

/** The three kinds of head score. */
export type HeadKind = "induction" | "previous_token" | "duplicate_token";

/** `circuits/<task>.json`. */
export interface CircuitSummary {
  readonly task: string | null;
  readonly task_inherited: boolean;
  readonly hook_name: string | null;
  readonly tasks: readonly {
    readonly task: string;
    readonly applicable: boolean;
    readonly reason: string | null;
    readonly n: number;
    readonly m_full: number | null;
    readonly m_empty: number | null;
    readonly difference: number | null;
    readonly se: number | null;
    readonly done: boolean;
  }[];
  readonly nodes: readonly CircuitNodeRef[];
  readonly candidates: number;
  readonly scores: CircuitScores | null;
  readonly mapped:
    | (CircuitScores & {
        readonly from: string;
        readonly n: number;
        readonly unmapped: number;
        readonly nodes: readonly CircuitNodeRef[];
        readonly parent_faithfulness: number | null;
        readonly at_expansion: Score | null;
        readonly rediscovered: Score;
        readonly jaccard: number | null;
        readonly jaccard_floor: number | null;
        readonly jaccard_ceiling: number | null;
        readonly heads: readonly {
          readonly kind: string;
          readonly parent: HeadScore;
          readonly child: HeadScore | null;
        }[];
      })
    | null;
  readonly head_scores: HeadScoreTables | null;
  readonly prompts: {
    readonly n: number;
    readonly examples: readonly {
      readonly clean: readonly string[];
      readonly corrupted: readonly string[];
      readonly answer: string;
      readonly wrong: string;
    }[];
  } | null;
}

/** `gates.json`. */
export interface GateSummary {
  readonly passed: boolean;
  readonly gates: readonly {
    readonly kind: string;
    readonly passed: boolean;
    readonly message: string;
  }[];
}

/** An answer of five-questions.json. */
export interface QuestionSummary {
  readonly id: number;
  readonly question: string | null;
  readonly answer: string;
  readonly value: number | null;
  readonly ci: Interval;
  readonly unit: string | null;
  readonly evidence: readonly { readonly file: string; readonly field: string }[];
  readonly confident: boolean;
}

/** `growth.json`. */
export interface GrowthSummary {
  readonly stages: readonly {
    readonly stage: string;
    readonly method: string | null;
    readonly exact: boolean | null;
    readonly params: number | null;
    readonly tokens: number | null;
    readonly tokens_total: number | null;
    readonly flops: number | null;
    readonly flops_total: number | null;
    readonly loss_before: number | null;
    readonly loss_after_expansion: number | null;
    readonly loss_jump: number | null;
    readonly loss: number | null;
    readonly loss_se: number | null;
  }[];
  readonly comparisons: readonly {
    readonly stage: string;
    readonly arm: string;
    readonly matched: string;
    readonly at: number;
    readonly grown: number;
    readonly control: number;
    readonly difference: number;
    readonly ci: Interval;
    readonly read: { readonly grown: number; readonly control: number };
  }[];
}

/** One line of metrics.jsonl. */
export interface MetricPoint {
  readonly stage: string;
  readonly arm: string;
  readonly phase: string;
  readonly sae: string | null;
  readonly tokens: number;
  readonly flops: number | null;
  readonly held_out_loss: number | null;
  readonly fvu: number | null;
  readonly l0: number | null;
  readonly dead_fraction: number | null;
}

/** What the plan says, as far as the report speaks of it. */
export interface PlanSummary {
  /** plan.yaml as it is stored; null where it is missing. */
  readonly text: string | null;
  readonly title: string;
  readonly seed: number | string | null;
  readonly corpus: string | null;
  readonly context: number | null;
  readonly minFirings: number | null;
  readonly freshSeeds: number | null;
  readonly baseSize: { readonly d_model: number | null; readonly layers: number | null };
  readonly saes: readonly {
    readonly name: string;
    readonly hook: string;
    readonly architecture: string;
    readonly d_sae: number | null;
    readonly k: number | null;
  }[];
  /** Names of the stages with their numbers, the base first. */
  readonly stages: readonly string[];
}

/** All of one stage that is there. */
export interface StageData {
  readonly name: string;
  readonly evaluation: StageEvaluation | null;
  readonly map: MapSummary | null;
  readonly check: CarryCheck | null;
  /** Of the SAE that the report follows: the plan's first. */
  readonly persistence: PersistenceSummary | null;
  /** Of the plan's other SAEs. */
  readonly others: readonly PersistenceSummary[];
  readonly verdicts: VerdictTable | null;
  readonly features: FeatureTable | null;
  readonly circuit: CircuitSummary | null;
  readonly gates: GateSummary | null;
}

/** A survival curve of history.json. */
export interface SurvivalSummary {
  readonly points: readonly {
    readonly stage: string;
    readonly tokens: number;
    readonly survival: number;
    readonly ci: readonly [number, number];
  }[];
  readonly half_life_tokens: number | null;
  readonly half_life_ci: readonly [number, number] | null;
}

/** history.json, one SAE of it. */
export interface HistorySummary {
  readonly name: string;
  readonly cohorts: readonly {
    readonly stage: string;
    readonly features: number;
    readonly persisted: SurvivalSummary;
    readonly not_died: SurvivalSummary;
  }[];
}

/** A run. */
export interface RunData {
  readonly plan: PlanSummary;
  readonly toolVersion: string | null;
  readonly backend: string | null;
  /** The base first; stages that the plan names and the run has not begun are there too, all null. */
  readonly stages: readonly StageData[];
  readonly metrics: readonly MetricPoint[];
  /** What each expansion cost and bought. */
  readonly growth: GrowthSummary | null;
  /** By SAE, what became of each latent over all stages. */
  readonly history: readonly HistorySummary[] | null;
  readonly questions: readonly QuestionSummary[] | null;
}
