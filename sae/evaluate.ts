/**
 * @file How well SAEs do on held-out tokens, by the field's measures under their names (SAELens's
 * and SAEBench's evaluations, explained variance and squared error as they are since SAELens 6.45.2): accumulated in f64 over the whole set, first
 * tokens left out. Several SAEs that read one hook share its forward passes.
 *   fvu = E‖x − x̂‖² / (E‖x‖² − ‖E x‖²)        ce_loss_score_a = (CE_a − CE_sae)/(CE_a − CE_orig)
 *   kl_div_score = (KL_zero − KL_sae)/KL_zero   relative_reconstruction_bias = E‖x̂‖²/E[x·x̂]
 * In the spliced passes tokens that are left out keep their own activations. Where there is no model,
 * activations alone (a dump) give all but the losses. A transcoder is measured on what it reconstructs: its FVU is of
 * its targets, and in the spliced passes its output stands in their place.
 */
import { spreadSequences } from "../src/data/index.ts";
import { UsageError } from "../src/io/index.ts";
import type { Model } from "../src/models/index.ts";
import { keptActivations, keptPairs, type Sequences } from "./activations.ts";
import {
  type CodesListener,
  finite,
  leastRatio,
  measureReconstruction,
  type ReconstructionFigures,
  reconstructionFigures,
} from "./reconstruction.ts";
import type { Sae } from "./sae.ts";
import { measureLosses } from "./spliced-losses.ts";

/** An SAE's figures on a model; null where a ratio has no finite value. */
export interface SaeEvaluation extends ReconstructionFigures {
  /** Cross-entropies in nats per predicted token. */
  readonly ce_orig: number;
  readonly ce_sae: number;
  readonly ce_zero: number;
  readonly ce_mean: number;
  readonly ce_loss_score_zero: number | null;
  readonly ce_loss_score_mean: number | null;
  /** KL from the untouched model, nats per token. */
  readonly kl_div_with_sae: number;
  readonly kl_div_with_ablation: number;
  readonly kl_div_score: number | null;
  /** Tokens that the cross-entropies and KLs are of. */
  readonly loss_tokens: number;
}

/** How SAEs are evaluated. */
export interface EvaluateOptions {
  /** Tokens, about, on which the spliced losses are measured; the rest uses all. Default 8192. */
  readonly lossTokens?: number;
  /** Leading tokens of each sequence to leave out. Default: those that not every SAE was trained on. */
  readonly firstTokensExcluded?: number;
  /**
   * Tokens with a norm above so many medians (of the first block) are left out; null = none. Default: the least
   * that an SAE was trained with.
   */
  readonly maxNormRatio?: number | null;
  /** Sequences per forward pass. Default 32. */
  readonly batchSequences?: number;
  /** Awaited between forward passes: a chance for other work, or to stop by throwing. Default: at once. */
  readonly pause?: () => Promise<void>;
  /** Gets what each SAE makes of the activations, block by block, so that nothing is encoded twice. */
  readonly onCodes?: CodesListener;
}

/**
 * Evaluates SAEs of one hook on a model and its text. Errors: internal when they read different hooks;
 * UsageError when the first tokens that are left out leave nothing of a sequence.
 */
export async function evaluateSaes(
  model: Model,
  set: Sequences,
  saes: readonly Sae[],
  options: EvaluateOptions = {},
): Promise<SaeEvaluation[]> {
  const { hook_name: hook, hook_name_out: hookOut } = saes[0].cfg;
  if (saes.some(({ cfg }) => cfg.hook_name !== hook || cfg.hook_name_out !== hookOut)) {
    throw new Error("internal: SAEs of different hooks can't be evaluated together");
  }
  const {
    lossTokens = 8192,
    firstTokensExcluded = Math.max(...saes.map(({ cfg }) => cfg.first_tokens_excluded)),
    maxNormRatio = leastRatio(saes),
    batchSequences = 32,
    pause = async () => {},
    onCodes,
  } = options;
  const most = set.context - 2; // a prediction must be left to splice into
  if (!(firstTokensExcluded >= 0 && firstTokensExcluded <= most)) {
    throw new UsageError({
      code: "first-tokens",
      where: "first_tokens_excluded",
      expected: `0 to ${most} with sequences of ${set.context} tokens`,
      got: String(firstTokensExcluded),
    });
  }
  const skip = firstTokensExcluded;
  const how = { skip, batchSequences, pause };
  const kept =
    hookOut === null
      ? keptActivations(model, hook, set, how)
      : keptPairs(model, [hook, hookOut], set, how);
  const reconstruction = await measureReconstruction(kept, saes, maxNormRatio, onCodes);
  const { limits, moments } = reconstruction;
  const { orig, zero, mean, klZero, tokens, ofSaes } = await measureLosses(
    model,
    spreadSequences(set, Math.max(1, Math.ceil(lossTokens / set.context))),
    saes,
    { mean: moments.mean(), skip, limits, batchSequences, pause },
  );
  return reconstructionFigures(reconstruction, saes, skip > 0).map((figures, i) => {
    const { loss, kl } = ofSaes[i];
    return {
      ...figures,
      ce_orig: orig,
      ce_sae: loss,
      ce_zero: zero,
      ce_mean: mean,
      ce_loss_score_zero: finite((zero - loss) / (zero - orig)),
      ce_loss_score_mean: finite((mean - loss) / (mean - orig)),
      kl_div_with_sae: kl,
      kl_div_with_ablation: klZero,
      kl_div_score: finite((klZero - kl) / klZero),
      loss_tokens: tokens,
    };
  });
}

/** One SAE. */
export async function evaluateSae(
  sae: Sae,
  model: Model,
  set: Sequences,
  options: EvaluateOptions = {},
): Promise<SaeEvaluation> {
  return (await evaluateSaes(model, set, [sae], options))[0];
}
