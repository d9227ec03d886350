// Documents of a whole run: questions, growth, history, metrics, the plan; and a stage's gates.
import type { Interval } from "./estimate.ts";

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
  /** A dump that SAEs were trained on in place of a model's activations. */
  readonly activations: string | null;
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
