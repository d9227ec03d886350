// likeness.json, as far as the report reads it.
import type { Estimate } from "./estimate.ts";

/** Likeness to the parent and to the from-scratch model. */
export interface LikenessPair {
  readonly to_parent: Estimate;
  readonly to_scratch: Estimate | null;
}

/** Where a curve falls below another, in tokens of the stage's training. */
export interface CrossingSummary {
  readonly after: number | null;
  readonly by: number;
  readonly tokens: number;
}

/** One SAE of likeness.json. */
export interface LikenessSummary {
  readonly sae: string;
  readonly child: readonly (LikenessPair & {
    readonly tokens: number;
    readonly total_tokens: number;
    readonly in_place: Estimate;
    readonly corrected: Estimate;
  })[];
  readonly scratch:
    | readonly { readonly total_tokens: number; readonly to_parent: Estimate }[]
    | null;
  readonly references: {
    readonly parent: LikenessPair;
    readonly no_expand: LikenessPair | null;
    readonly random: LikenessPair | null;
  };
  readonly crossings: {
    readonly half: CrossingSummary | null;
    readonly scratch_nearer: CrossingSummary | null;
  };
}
