// eval.json of a run on a dump of activations: SAEs without their model.
import type { DumpUse } from "../../sae/index.ts";

/** One SAE's figures, which need no model. */
export interface ActivationsSae {
  readonly sae: string;
  readonly hook_name: string;
  /** Of a transcoder: what it reconstructs. */
  readonly hook_name_out: string | null;
  readonly tokens: number | null;
  readonly high_norm_excluded: number | null;
  readonly l0: number | null;
  readonly fvu: number | null;
  readonly cossim: number | null;
  readonly l2_ratio: number | null;
  readonly dead_fraction: number | null;
  readonly freq_over_1_percent: number | null;
  readonly freq_over_10_percent: number | null;
}

/** `stages/00-base/eval.json`. */
export interface ActivationsEvaluation {
  readonly activations: DumpUse;
  readonly saes: readonly ActivationsSae[];
}
