// persistence.json: what became of the features of one SAE in one stage.
import type { CrosscoderSummary } from "./crosscoder.ts";
import type { Estimate, Interval, Threshold } from "./estimate.ts";

/** A row of `arms` in persistence.json. */
export interface PersistenceArm {
  readonly arm: string;
  readonly role: string;
  readonly sae: string;
  readonly seed: number | null;
  /** Peak learning rate of its last training. */
  readonly lr: number | null;
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

/** Where turned latents ended. */
export interface ReturnedSummary {
  readonly way_back: Estimate;
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
