// SAEBench's core results by hand: latents' counts, cosines with one another, and what stands for no value.
import { beforeAll, expect, test } from "vitest";
import { coreDocument, latentCounts, type SaeEvaluation } from "../../sae/index.ts";
import { useBackend } from "../../src/engine/index.ts";
import { testBackend } from "../support/backend.ts";
import { randomSae } from "./support/random-sae.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

/** Two sequences of two rows: latents 0 and 1, 0; none, 0 and 1. */
const codes = {
  nTokens: 4,
  dSae: 4,
  rowStart: Int32Array.of(0, 2, 3, 3, 5),
  latent: Int32Array.of(0, 1, 0, 0, 1),
  value: new Float32Array(5).fill(1),
};
const figures: SaeEvaluation = {
  hook_name: "hook_embed",
  tokens: 4,
  first_tokens_excluded: false,
  high_norm_excluded: 0,
  l0: 1.25,
  l1: 1.25,
  fvu: null,
  explained_variance: null,
  explained_variance_legacy: 0.5,
  mse: 2,
  cossim: 0.25,
  l2_norm_in: 3,
  l2_norm_out: 4,
  l2_ratio: 0.75,
  relative_reconstruction_bias: 1.5,
  dead_fraction: 0.5,
  freq_over_1_percent: 0.5,
  freq_over_10_percent: 0.5,
  normalized_freq_over_1_percent: 1,
  normalized_freq_over_10_percent: 1,
  density: { log10_edges: [], counts: [] },
  ce_orig: 1,
  ce_sae: 2,
  ce_zero: 5,
  ce_mean: 4,
  ce_loss_score_zero: 0.75,
  ce_loss_score_mean: null,
  kl_div_with_sae: 0.5,
  kl_div_with_ablation: 2,
  kl_div_score: 0.75,
  loss_tokens: 4,
};
// encoder columns (1,0), (0,2), (0,1), (3,3); decoder rows (1,0), (0,1), (0,−1), (1,0)
const sae = {
  ...randomSae({ architecture: "topk", d_in: 2, d_sae: 4, k: 2 }),
  W_enc: Float32Array.of(1, 0, 0, 3, 0, 2, 1, 3),
  W_dec: Float32Array.of(1, 0, 0, 1, 0, -1, 1, 0),
};
const source = { sae: "s", dataset: "d", contextSize: 2, batchSequences: 1, time: 7, version: "1" };

test("counts firings and the sequences with one, over blocks, without rows that are left out", () => {
  const counts = latentCounts(4, 2);
  counts.add(codes, new Uint8Array(4));
  counts.add(codes, Uint8Array.of(1, 0, 0, 0));
  expect([...counts.firings]).toEqual([5, 3, 0, 0]);
  expect([...counts.sequences]).toEqual([4, 3, 0, 0]);
});

test("latents with their norms, densities and highest cosines; −1 for what has no value", async () => {
  const counts = latentCounts(4, 2);
  counts.add(codes, new Uint8Array(4));
  const document = await coreDocument(sae, figures, counts, source);
  const column = (name: keyof (typeof document.eval_result_details)[number]) =>
    document.eval_result_details.map((latent) => latent[name]);
  expect(column("feature_density")).toEqual([0.75, 0.5, 0, 0]);
  expect(column("consistent_activation_heuristic")).toEqual([1.5, 1, -1, -1]);
  expect(column("encoder_norm")).toBeAllclose([1, 2, 1, Math.sqrt(18)]);
  expect(column("encoder_decoder_cosine_sim")).toBeAllclose([1, 1, -1, Math.SQRT1_2]);
  expect(column("max_encoder_cosine_sim")).toBeAllclose([Math.SQRT1_2, 1, 1, Math.SQRT1_2]);
  // rows 0 and 3 are the same; row 2 is the opposite of row 1, and 0 to the others
  expect(column("max_decoder_cosine_sim")).toBeAllclose([1, 0, 0, 1], { atol: 1e-7 });
  expect(document).toMatchObject({ eval_type_id: "core", datetime_epoch_millis: 7 });
  expect(document.eval_config).toMatchObject({ n_eval_sparsity_variance_batches: 2 });
  const metrics = document.eval_result_metrics;
  expect(metrics.reconstruction_quality.explained_variance).toBe(-1);
  expect(metrics.model_performance_preservation.ce_loss_score).toBe(0.75);
  expect(metrics.misc_metrics.frac_alive).toBe(0.5);
  expect(metrics.misc_metrics.average_max_decoder_cosine_sim).toBeCloseTo(0.5, 6);
  const again = await coreDocument(sae, figures, counts, { ...source, time: 8 });
  expect(again.eval_id).toBe(document.eval_id);
});
