/**
 * @file What one of a plan's `saes` may hold, as zod: part of `schema.ts`. Where a default is not a paper's or a
 * library's, its description says so and what those have.
 */
import { z } from "zod";
import { folderName } from "./folder-name.ts";
import { saeArchitectureNames } from "./sae-architectures.ts";
import type { SaePlan } from "./types.ts";

const positive = z.int().min(1);
const share = z.number().min(0).max(1);
const rate = z.number().gt(0).max(1);

/** One of `saes`; every key may be missing. */
export const sae: z.ZodType<Partial<SaePlan>> = z
  .strictObject({
    name: folderName.describe("folder of the SAE in each stage"),
    from: z
      .string()
      .min(1)
      .nullable()
      .describe(
        "the folder of an SAE of the model at model.path to start from, ours or SAELens's, sparsify's, dictionary_learning's: hook, sizes, architecture and norm are taken from it, and the run keeps a copy; null = one is trained",
      ),
    from_sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/, "64 hexadecimal digits")
      .nullable()
      .describe(
        "fingerprint of that folder, which a run writes; another SAE under its name is an error",
      ),
    from_tokens: z
      .int()
      .min(0)
      .describe("tokens on which that SAE trains on at the base; 0 = it stays as it is"),
    hook: z
      .string()
      .min(1)
      .describe(
        "where it reads, under TransformerLens's name; default: the residual stream after the middle layer",
      ),
    hook_out: z
      .string()
      .min(1)
      .nullable()
      .describe(
        "what a transcoder reconstructs from what it reads at `hook`, such as blocks.1.hook_mlp_out from blocks.1.mlp.hook_in (SAELens's hook_name_out); null = an SAE, which reconstructs what it reads",
      ),
    skip_connection: z.boolean().describe("a transcoder has a linear map of its input besides"),
    architecture: z
      .enum(saeArchitectureNames)
      .describe("how latents are selected: see docs/methods.md, 3.1"),
    d_sae: positive.describe("number of latents"),
    k: positive
      .nullable()
      .describe(
        "latents active for a token: exactly (topk), on average (batchtopk, matryoshka_batchtopk), or the L0 that a penalty is steered to (jumprelu, gated, standard; null = coefficients as given)",
      ),
    matryoshka_widths: z
      .array(positive)
      .nullable()
      .describe(
        "matryoshka_batchtopk: widths of the prefixes that reconstruct by themselves, ascending to d_sae; null = an eighth, a quarter, half and all of d_sae",
      ),
    tokens: positive.describe("tokens to train on"),
    batch_tokens: positive.describe("tokens in a step"),
    max_norm_ratio: z
      .number()
      .min(1)
      .nullable()
      .describe(
        "tokens whose activations have a norm above so many medians (attention sinks) are neither trained nor evaluated on; null = all are",
      ),
    lr: rate.describe(
      "peak learning rate, where activations have the norm √d_in on average; default: 0.008, with more than 512 latents 0.008 · √(512 / d_sae), own choice for runs of some hundred steps (SAELens 3e-4, dictionary_learning 2e-4 · √(16384 / d_sae), for tens of thousands)",
    ),
    warmup: share.describe(
      "share of the steps over which the rate rises from 0; own choice (SAELens 0, dictionary_learning 1,000 steps)",
    ),
    decay: share.describe(
      "share of the steps, at the end, over which the rate falls to 0; own choice (0.2 in Conerly et al. 2025, SAELens 0)",
    ),
    beta1: z
      .number()
      .min(0)
      .lt(1)
      .describe(
        "Adam's decay of the first moment; own choice: 0.9, as elsewhere, lets more rarely firing latents die in short runs",
      ),
    beta2: z
      .number()
      .min(0)
      .lt(1)
      .describe("Adam's decay of the second moment; own choice for short runs (0.999 elsewhere)"),
    normalize_activations: z
      .enum(["expected_average_only_in", "none", "constant_norm_rescale", "layer_norm"])
      .describe(
        "the frame of training, under SAELens's names: activations times √d_in over their mean norm in the first batch, or as they are, where what is saved works on the activations as they are; constant_norm_rescale and layer_norm take each row's own norm off, in training (the loss is there too) and in what is saved, which only SAELens's format can say and not every expansion can carry (docs/methods.md, 3.1)",
      ),
    aux_coefficient: z
      .number()
      .min(0)
      .describe("weight of the auxiliary loss that revives dead latents; 1 as in SAELens"),
    k_aux: positive
      .nullable()
      .describe(
        "dead latents for a token in that loss; null = half of the width (Gao et al. 2024)",
      ),
    dead_after_tokens: positive.describe(
      "a latent that has not fired for so many tokens is dead; default: 100 · d_sae / k, in which a latent of average frequency fires 100 times, at least 10,000; own choice for short runs (sparsify and dictionary_learning 10,000,000)",
    ),
    resample_at: z
      .array(positive)
      .describe(
        "steps after which dead latents are drawn anew from badly reconstructed activations (Bricken et al. 2023); [] = never; carried SAEs, whose latents have a lineage, never",
      ),
    k_warmup: share.describe(
      "share of the steps over which k falls from the width to what it is, as dictionary_learning anneals it (batchtopk, topk, matryoshka_batchtopk; not in carried SAEs)",
    ),
    threshold_rate: z
      .number()
      .gt(0)
      .max(1)
      .describe(
        "weight of the newest batch in the moving threshold of batchtopk and matryoshka_batchtopk; SAELens has 0.01 for runs of many thousand steps",
      ),
    sparsity_warmup: share.describe(
      "share of the steps over which a penalty rises from 0 (jumprelu, gated, standard); own choice (SAELens 0, the whole run in Conerly et al. 2025)",
    ),
    l1_coefficient: z
      .number()
      .gt(0)
      .describe(
        "weight of the norm-weighted L1 penalty, at the start where k steers it (gated, standard); 1 as in SAELens",
      ),
    l1_rate: z
      .number()
      .gt(0)
      .nullable()
      .describe(
        "how fast that weight follows k: it changes by the factor exp(l1_rate · (L0/k − 1)) a step, once the penalty has its weight; null = 0.01, or 6 over the number of steps where that is more: own choice, as the controller is our own",
      ),
    gate_trains_decoder: z
      .boolean()
      .describe(
        "gated: the reconstruction from the open gates trains the decoder too, as in SAELens; false = it sees the decoder frozen, as published (Rajamanoharan et al. 2024a): a lower FVU, more dead latents, and known features are found less well (docs/methods.md, 3.1)",
      ),
    l0_coefficient: z
      .number()
      .gt(0)
      .describe("weight of jumprelu's penalty, over d_in; 1 as in SAELens"),
    sparsity_mode: z
      .enum(["step", "tanh"])
      .describe(
        "jumprelu: count latents (Rajamanoharan et al. 2024), or tanh(tanh_scale · f · decoder norm) (Conerly et al. 2025)",
      ),
    tanh_scale: z.number().gt(0).describe("jumprelu: steepness of the tanh (Conerly et al. 2025)"),
    bandwidth: z
      .number()
      .gt(0)
      .describe(
        "jumprelu: width of the window around a threshold in which it feels a gradient, where activations have the norm √d_in on average; own choice for some hundred steps (SAELens 0.05)",
      ),
    init_threshold: z
      .number()
      .gt(0)
      .nullable()
      .describe(
        "jumprelu: first threshold, in the same frame; null = where the first batch has an L0 of 2k; own choice, by docs/quality.md (SAELens 0.01)",
      ),
  })
  .partial();
