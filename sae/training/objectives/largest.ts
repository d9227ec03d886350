/**
 * @file TopK (Gao et al. 2024), BatchTopK (Bussmann et al. 2024) and Matryoshka BatchTopK (Bussmann et al. 2025): the
 * largest pre-activations are the codes. BatchTopK follows the smallest value it keeps with a moving average, its
 * threshold in inference. Matryoshka's loss has the reconstructions from the narrower prefixes beside the whole, each
 * with weight one, codes selected once.
 */
import type { Batch, Objective } from "./objective.ts";

/** The k of a step: over the warm-up it falls from d_in, or d_sae where that is less, to its own (as in dictionary_learning's k annealing). */
function kOf({ sae: { cfg }, step, options: { steps, kWarmup } }: Batch): number {
  const k = cfg.k as number;
  const share = Math.min(1, step / Math.max(1, Math.round(steps * kWarmup)));
  const first = Math.max(k, Math.min(cfg.d_in, cfg.d_sae));
  return kWarmup > 0 ? first + (k - first) * share : k;
}

/** The k largest of every row. */
export const topk: Objective = {
  rule: (batch) => ({ kind: "top", k: Math.round(kOf(batch)) }),
};

/** The k·n largest of the batch. */
export const batchtopk: Objective = {
  rule: (batch) => ({ kind: "largest", total: Math.round(kOf(batch) * batch.n) }),
  selected({ sae, options: { thresholdRate } }, least) {
    sae.threshold =
      sae.threshold > 0 ? sae.threshold + thresholdRate * (least - sae.threshold) : least;
  },
};

/** BatchTopK with nested prefixes. */
export const matryoshka: Objective = {
  ...batchtopk,
  widths: ({ cfg }) => (cfg.matryoshka_widths ?? []).slice(0, -1),
};
