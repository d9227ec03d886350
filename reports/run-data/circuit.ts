// circuits/<task>.json: a task's circuit, its scores and those of the heads.
import type { Score } from "./estimate.ts";

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
