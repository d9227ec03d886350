/**
 * @file TopK (Gao et al. 2024), BatchTopK (Bussmann et al. 2024) and Matryoshka BatchTopK (Bussmann et al. 2025): the
 * largest pre-activations are the codes. BatchTopK follows the smallest value it keeps with a moving average, its
 * threshold in inference. Matryoshka's loss has the reconstructions from the narrower prefixes beside the whole, each
 * with weight one, codes selected once.
 */
import type { Objective } from "./objective.ts";

/** The k largest of every row. */
export const topk: Objective = {
  rule: ({ sae }) => ({ kind: "top", k: sae.cfg.k as number }),
};

/** The k·n largest of the batch. */
export const batchtopk: Objective = {
  rule: ({ sae, n }) => ({ kind: "largest", total: Math.round((sae.cfg.k as number) * n) }),
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
