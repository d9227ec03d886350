// What `eval --json` prints.
import { z } from "zod";
import { count, header, measured, text } from "./values.ts";

const density = z.strictObject({
  log10_edges: z.array(z.number()),
  counts: z.array(count),
});

const evaluation = {
  sae: text,
  hook_name: text,
  hook_name_out: text
    .optional()
    .describe("of a transcoder: what all figures of what is reconstructed are of"),
  tokens: count,
  first_tokens_excluded: z.boolean(),
  high_norm_excluded: count.describe("tokens left out for their norm (saes[].max_norm_ratio)"),
  l0: measured,
  l1: measured.describe("sum of a token's activations"),
  fvu: measured.describe("E‖x−x̂‖² / (E‖x‖² − ‖Ex‖²)"),
  explained_variance: measured.describe("1 − fvu"),
  explained_variance_legacy: measured.describe("mean over tokens of 1 − ‖x−x̂‖²/‖x−mean‖²"),
  mse: measured.describe("E‖x−x̂‖²"),
  cossim: measured.describe("mean cosine of x and x̂"),
  ce_orig: measured.describe("loss of the model, nats"),
  ce_sae: measured.describe("with the SAE's reconstruction in place of the activations"),
  ce_zero: measured,
  ce_mean: measured,
  ce_loss_score_zero: measured,
  ce_loss_score_mean: measured,
  kl_div_with_sae: measured.describe("KL from the untouched model, nats"),
  kl_div_with_ablation: measured.describe("with zero in place of the activations"),
  kl_div_score: measured,
  loss_tokens: count
    .nullable()
    .describe("tokens that the losses and KLs are of; null on a dump, as they are"),
  l2_norm_in: measured.describe("E‖x‖"),
  l2_norm_out: measured.describe("E‖x̂‖"),
  l2_ratio: measured.describe("E[‖x̂‖/‖x‖]"),
  relative_reconstruction_bias: measured.describe("E‖x̂‖² / E[x·x̂]"),
  dead_fraction: measured,
  freq_over_1_percent: measured.describe("share of latents that fire on more than 1% of tokens"),
  freq_over_10_percent: measured,
  normalized_freq_over_1_percent: measured.describe("share of all firings that are theirs"),
  normalized_freq_over_10_percent: measured,
  density,
};

/** The answer of `eval`. */
export const evaluate: z.ZodType = z.strictObject({
  ...header("eval"),
  ...evaluation,
  saebench: text.nullable().describe("the file of SAEBench's core results, where one was written"),
  warnings: z
    .array(text)
    .describe("another model or tokenizer than the SAE's, a text that the tokenizer covers badly"),
});
