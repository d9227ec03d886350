// The Arrow tables of latents: verdicts with their evidence, features with their contexts.

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
