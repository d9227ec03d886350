// The contract of persistence.json (`compare` prints the same): shares are fractions, intervals
// [low, high] at 95%, and null means that it was not measured or could not be reported.

import type { CrosscoderDocument } from "../crosscoder/document.ts";
import type { CellName, Estimate } from "./estimands.ts";
import type { FreshAlone } from "./fresh-alone.ts";
import type { ArmRole } from "./input.ts";
import type { PerturbDocument } from "./perturb.ts";
import type { ProbesDocument } from "./probe-summary.ts";
import type { CurvePoint } from "./tokens-ratio.ts";

/** An arm as it is listed. */
export interface ArmDocument {
  readonly arm: string;
  readonly role: ArmRole;
  readonly sae: string;
  readonly seed: number;
  /** Peak learning rate of its last training; null where there was none or nobody knows. */
  readonly lr: number | null;
  readonly l0: number | null;
  readonly fvu: number | null;
  readonly ce_loss_score_zero: number | null;
  /** Whether L0 and FVU are within 5% of the carried arm's; null where they are not known. */
  readonly matched: boolean | null;
  /** Share of the parent latents that fire often enough with a function match in this arm, and with a match at τ. */
  readonly function: number | null;
  readonly match: number | null;
}

/** A threshold max(floor, 99th percentile of the null). */
export interface ThresholdDocument {
  readonly floor: number;
  readonly null_p99: number | null;
  readonly used: number;
}

/** One cell of the 2×2 or a ceiling; `ci` is that of `function`. */
export interface CellDocument {
  readonly function: number | null;
  readonly match: number | null;
  readonly ci: readonly [number, number] | null;
}

/** Latents that fresh seeds rarely find again: whether the subspaces they live in persist. */
export interface UnstableDocument {
  /** Latents measured: found by fewer than a third of the fresh parent SAEs, and firing with others like them. */
  readonly latents: number;
  /** Median overlap of their spans with the child's: mean cos² of the principal angles. */
  readonly overlap: number;
  readonly null_p99: number | null;
}

/** How many latents got each verdict. */
export interface VerdictCounts {
  readonly unknown: number;
  readonly persisted: number;
  readonly carried_only: number;
  readonly split: number;
  readonly absorbed: number;
  readonly merged: number;
  readonly drifted_direction: number;
  readonly drifted_meaning: number;
  readonly uncertain: number;
  readonly died: number;
  readonly lost_by_sae: number;
  /** Child latents. */
  readonly born: number;
  /** Child latents. */
  readonly uncovered: number;
}

/** The carried SAE after so many times the stage's tokens; 0 = untrained. What the model keeps stays level, inertia wears off. */
export interface ContinuationPoint {
  readonly times: number;
  readonly function: number | null;
  readonly match: number | null;
  readonly ci: readonly [number, number] | null;
  /** Share whose decoder has a cosine ≥ τ to where it started. */
  readonly to_start: number | null;
  readonly l0: number | null;
  readonly fvu: number | null;
}

/** persistence.json. */
export interface PersistenceDocument {
  readonly format: "sae-carry/compare";
  readonly version: 1;
  readonly stage: string;
  readonly name: string;
  /** Held-out token rows compared. */
  readonly tokens: number;
  readonly arms: readonly ArmDocument[];
  readonly thresholds: {
    readonly cosine: ThresholdDocument;
    /** null_p99 and used are the largest over the firing-frequency bins; the table has each latent's. */
    readonly correlation: ThresholdDocument;
    readonly containment: number;
    /** Gain in R² of a set of pieces over the best single latent; null_p99 and used as for the correlation. */
    readonly gain: { readonly split: ThresholdDocument; readonly merged: ThresholdDocument };
  };
  readonly counts: VerdictCounts;
  /** Splits and merges that rest on the word of fresh SAEs alone, and whether it stands. */
  readonly fresh_alone: FreshAlone;
  /** Parent latents that are not unknown: the denominator of shares of verdicts. That of cells has the seed-unstable ones too. */
  readonly eligible: number;
  readonly persisted: Estimate;
  /** The same rule on the re-initialised child: a working rule stays below .05. */
  readonly reinit_persisted: Estimate;
  /** Share persisted or carried_only before any training: a working rule stays above .99. */
  readonly start_kept: Estimate;
  /** Share of eligible parent latents whose heir's decoder has a cosine ≥ τ to where it started. */
  readonly inertia: {
    readonly carried: number | null;
    readonly carried_scratch: number | null;
    readonly reinit: number | null;
    /** The carried dictionary turned by one random matrix before it trained on. */
    readonly rotated: number | null;
  };
  /** Null where no arm's latents were turned. */
  readonly perturb_and_return: PerturbDocument | null;
  /** The carried SAE by how long it trained on, shortest first; null where no arm continued. */
  readonly continuation: readonly ContinuationPoint[] | null;
  readonly cells: Readonly<Record<CellName, CellDocument | null>>;
  readonly corrected: Estimate;
  readonly inheritance: Estimate & { readonly of_findable: number | null };
  readonly carry_bonus: Estimate;
  readonly tokens_ratio: number | null;
  /** Null without fresh parent SAEs, without a map, or where none is unstable. */
  readonly unstable: UnstableDocument | null;
  /** How well probes read the parent's latents from each model; null where not measured. */
  readonly probes: ProbesDocument | null;
  readonly off_image: number | null;
  readonly copy_spread: number | null;
  /** Counts of eligible latents by best correlation, and by cosine to their own start; the null's are draws. */
  readonly histograms: {
    readonly edges: readonly number[];
    readonly correlation: {
      readonly carried: readonly number[];
      /** All fresh seeds together. */
      readonly fresh: readonly number[];
      readonly null: readonly number[];
    };
    readonly cosine: {
      readonly carried: readonly number[];
      readonly reinit: readonly number[];
      readonly null: readonly number[];
    };
  };
  /** Held-in FVU while the SAEs trained. */
  readonly curves?: {
    readonly carried: readonly CurvePoint[];
    readonly fresh: readonly (readonly CurvePoint[])[];
  };
  readonly warnings: readonly string[];
  /** A crosscoder between parent and child, an independent witness; absent or null without one. */
  readonly crosscoder?: CrosscoderDocument | null;
}
