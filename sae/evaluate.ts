/**
 * @file How well SAEs do on held-out tokens, by the field's measures under their names (SAELens's
 * evaluation, with explained variance as it is since 6.45.1): accumulated in f64 over the whole set, first
 * tokens left out. Several SAEs that read one hook share its forward passes.
 *   fvu = E‖x − x̂‖² / (E‖x‖² − ‖E x‖²)        ce_loss_score_a = (CE_a − CE_sae)/(CE_a − CE_orig)
 *   kl_div_score = (KL_zero − KL_sae)/KL_zero   relative_reconstruction_bias = E‖x̂‖²/E[x·x̂]
 * In the spliced passes tokens that are left out keep their own activations. Where there is no model,
 * activations alone (a dump) give all but the losses.
 */
import { spreadSequences } from "../src/data/index.ts";
import { tf } from "../src/engine/index.ts";
import { UsageError } from "../src/io/index.ts";
import type { Model } from "../src/models/index.ts";
import { activationsAt, forwardLogits, modelSizes, shift } from "../src/models/index.ts";
import { keptActivations, type Sequences } from "./activations.ts";
import { decode } from "./decode.ts";
import { encodeAsync } from "./encode.ts";
import { rowsAbove } from "./high-norm.ts";
import {
  finite,
  leastRatio,
  measureReconstruction,
  type ReconstructionFigures,
  reconstructionFigures,
} from "./reconstruction.ts";
import type { Sae } from "./sae.ts";

/** An SAE's figures on a model; null where a ratio has no finite value. */
export interface SaeEvaluation extends ReconstructionFigures {
  /** Cross-entropies in nats per predicted token. */
  readonly ce_orig: number;
  readonly ce_sae: number;
  readonly ce_zero: number;
  readonly ce_mean: number;
  readonly ce_loss_score_zero: number | null;
  readonly ce_loss_score_mean: number | null;
  readonly kl_div_score: number | null;
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
}

/** Logits of a pass of the spliced losses, at most, where one sequence has no more: 64 MB in f32. */
const maxLogits = 1 << 24;

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
  const hook = saes[0].cfg.hook_name;
  if (saes.some(({ cfg }) => cfg.hook_name !== hook)) {
    throw new Error("internal: SAEs of different hooks can't be evaluated together");
  }
  const {
    lossTokens = 8192,
    firstTokensExcluded = Math.max(...saes.map(({ cfg }) => cfg.first_tokens_excluded)),
    maxNormRatio = leastRatio(saes),
    batchSequences = 32,
    pause = async () => {},
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
  const kept = keptActivations(model, hook, set, {
    skip: firstTokensExcluded,
    batchSequences,
    pause,
  });
  const reconstruction = await measureReconstruction(kept, saes, maxNormRatio);
  const logitsEach = set.context * modelSizes(model.config).vocabSize;
  const losses = await measureLosses(
    model,
    hook,
    spreadSequences(set, Math.max(1, Math.ceil(lossTokens / set.context))),
    saes,
    reconstruction.mean,
    firstTokensExcluded,
    reconstruction.limit,
    Math.max(1, Math.min(batchSequences, Math.floor(maxLogits / logitsEach))),
    pause,
  );
  const figures = reconstructionFigures(reconstruction, saes, firstTokensExcluded > 0);
  return figures.map((own, i) => {
    const { orig, zero, mean, klZero } = losses;
    const { loss, kl } = losses.saes[i];
    return {
      ...own,
      ce_orig: orig,
      ce_sae: loss,
      ce_zero: zero,
      ce_mean: mean,
      ce_loss_score_zero: finite((zero - loss) / (zero - orig)),
      ce_loss_score_mean: finite((mean - loss) / (mean - orig)),
      kl_div_score: finite((klZero - kl) / klZero),
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

interface SpliceLosses {
  readonly orig: number;
  readonly zero: number;
  readonly mean: number;
  readonly klZero: number;
  readonly saes: readonly { readonly loss: number; readonly kl: number }[];
}

/** Losses with the activations of all tokens but those left out replaced: by each SAE's reconstruction, zero, the mean. */
async function measureLosses(
  model: Model,
  hook: string,
  set: Sequences,
  saes: readonly Sae[],
  mean: Float64Array,
  skip: number,
  limit: number,
  batchSequences: number,
  pause: () => Promise<void>,
): Promise<SpliceLosses> {
  const width = mean.length;
  const total = { orig: 0, zero: 0, mean: 0, klZero: 0, tokens: 0 };
  const ofSae = saes.map(() => ({ loss: 0, kl: 0 }));
  for (const { ids, batch } of batches(set, batchSequences)) {
    const { inputs, targets } = shift(ids, set.context);
    const context = set.context - 1;
    const whole = activationsAt(model, inputs, batch, hook);
    const x = (await whole.data()).slice() as Float32Array;
    whole.dispose();
    const isAbove = rowsAbove(x, width, limit);
    const isKept = (row: number): boolean => row % context >= skip && isAbove[row] === 0;
    const splice = async (
      replace: (row: number, to: Float32Array) => void,
    ): Promise<Float32Array> => {
      const rows = Float32Array.from(x);
      for (let row = 0; row < batch * context; row++) {
        if (isKept(row)) replace(row, rows.subarray(row * width, (row + 1) * width));
      }
      return logitsOf(model, inputs, batch, hook, rows);
    };
    const vocab = modelSizes(model.config).vocabSize;
    const orig = await logitsOf(model, inputs, batch, hook, x);
    const zero = await splice((_, to) => to.fill(0));
    const zeroed = lossAndKl(zero, orig, targets, vocab);
    total.orig += lossAndKl(orig, orig, targets, vocab).loss;
    total.zero += zeroed.loss;
    total.klZero += zeroed.kl;
    const meanLogits = await splice((_, to) => to.set(mean));
    total.mean += lossAndKl(meanLogits, orig, targets, vocab).loss;
    const all = tf.tensor2d(x, [batch * context, width]);
    for (const [i, sae] of saes.entries()) {
      const xHat = decode(sae, await encodeAsync(sae, all));
      const spliced = await splice((row, to) =>
        to.set(xHat.subarray(row * width, (row + 1) * width)),
      );
      const { loss, kl } = lossAndKl(spliced, orig, targets, vocab);
      ofSae[i].loss += loss;
      ofSae[i].kl += kl;
    }
    all.dispose();
    total.tokens += targets.length;
    await pause();
  }
  const n = total.tokens;
  return {
    orig: total.orig / n,
    zero: total.zero / n,
    mean: total.mean / n,
    klZero: total.klZero / n,
    saes: ofSae.map(({ loss, kl }) => ({ loss: loss / n, kl: kl / n })),
  };
}

async function logitsOf(
  model: Model,
  inputs: Int32Array,
  batch: number,
  hook: string,
  rows: Float32Array,
): Promise<Float32Array> {
  const replacement = tf.tensor2d(rows, [inputs.length, rows.length / inputs.length]);
  const logits = tf.tidy(() =>
    forwardLogits(model, inputs, batch, { hooks: { [hook]: () => replacement } }),
  );
  const values = (await logits.data()) as Float32Array;
  tf.dispose([replacement, logits]);
  return values;
}

/** Summed over rows, in nats: cross-entropy of the targets, and KL(softmax(reference) ‖ softmax(logits)). */
function lossAndKl(
  logits: Float32Array,
  reference: Float32Array,
  targets: Int32Array,
  vocab: number,
): { loss: number; kl: number } {
  let loss = 0;
  let kl = 0;
  for (let row = 0; row < targets.length; row++) {
    const at = row * vocab;
    const norm = logSumExp(logits, at, vocab);
    loss += norm - logits[at + targets[row]];
    if (logits === reference) continue;
    const referenceNorm = logSumExp(reference, at, vocab);
    for (let j = at; j < at + vocab; j++) {
      const logP = reference[j] - referenceNorm;
      kl += Math.exp(logP) * (logP - logits[j] + norm);
    }
  }
  return { loss, kl };
}

function logSumExp(values: Float32Array, start: number, count: number): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = start; i < start + count; i++) if (values[i] > max) max = values[i];
  let sum = 0;
  for (let i = start; i < start + count; i++) sum += Math.exp(values[i] - max);
  return max + Math.log(sum);
}

function* batches(
  set: Sequences,
  size: number,
): Generator<{ readonly ids: Int32Array; readonly batch: number }> {
  const { context, nSeq, ids } = set;
  for (let from = 0; from < nSeq; from += size) {
    const batch = Math.min(size, nSeq - from);
    yield { ids: ids.subarray(from * context, (from + batch) * context), batch };
  }
}
