// `crosscoder` of persistence.json: what a dictionary of parent and child together says.

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
