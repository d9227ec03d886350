/**
 * @file How well SAEs do on held-out tokens, by the field's measures under their names (SAELens's
 * evaluation, with explained variance as it is since 6.45.1): accumulated in f64 over the whole set, first
 * tokens left out. Several SAEs that read one hook share its forward passes.
 *   fvu = E‖x − x̂‖² / (E‖x‖² − ‖E x‖²)        ce_loss_score_a = (CE_a − CE_sae)/(CE_a − CE_orig)
 *   kl_div_score = (KL_zero − KL_sae)/KL_zero   relative_reconstruction_bias = E‖x̂‖²/E[x·x̂]
 * In the spliced passes first tokens keep their own activations.
 */
import { spreadSequences } from "../src/data/index.ts";
import { hostView, tf } from "../src/engine/index.ts";
import { UsageError } from "../src/io/index.ts";
import type { Model } from "../src/models/index.ts";
import { activationsAt, forwardLogits, hookWidth, modelSizes, shift } from "../src/models/index.ts";
import { keptActivations, type Sequences } from "./activations.ts";
import { decode } from "./decode.ts";
import { encodeAsync } from "./encode.ts";
import type { Sae, SparseCodes } from "./sae.ts";

/** An SAE's figures; null where a ratio has no finite value. */
export interface SaeEvaluation {
  readonly hook_name: string;
  /** Token rows measured, first tokens left out. */
  readonly tokens: number;
  readonly first_tokens_excluded: boolean;
  readonly l0: number;
  readonly fvu: number | null;
  readonly explained_variance: number | null;
  /** Cross-entropies in nats per predicted token. */
  readonly ce_orig: number;
  readonly ce_sae: number;
  readonly ce_zero: number;
  readonly ce_mean: number;
  readonly ce_loss_score_zero: number | null;
  readonly ce_loss_score_mean: number | null;
  readonly kl_div_score: number | null;
  readonly l2_ratio: number | null;
  readonly relative_reconstruction_bias: number | null;
  /** Share of latents that never fired on these tokens. */
  readonly dead_fraction: number;
  /** Latents by log10 of their density; those that never fired are not in it. */
  readonly density: { readonly log10_edges: readonly number[]; readonly counts: readonly number[] };
}

/** How SAEs are evaluated. */
export interface EvaluateOptions {
  /** Tokens, about, on which the spliced losses are measured; the rest uses all. Default 8192. */
  readonly lossTokens?: number;
  /** Leading tokens of each sequence to leave out. Default: those that not every SAE was trained on. */
  readonly firstTokensExcluded?: number;
  /** Sequences per forward pass. Default 32. */
  readonly batchSequences?: number;
  /** Awaited between forward passes: a chance for other work, or to stop by throwing. Default: at once. */
  readonly pause?: () => Promise<void>;
}

/** Logits of a pass of the spliced losses, at most, where one sequence has no more: 64 MB in f32. */
const maxLogits = 1 << 24;

const log10Edges: readonly number[] = Array.from({ length: 26 }, (_, i) => -5 + i / 5);

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
  const reconstruction = await measureReconstruction(
    model,
    hook,
    set,
    saes,
    firstTokensExcluded,
    batchSequences,
    pause,
  );
  const logitsEach = set.context * modelSizes(model.config).vocabSize;
  const losses = await measureLosses(
    model,
    hook,
    spreadSequences(set, Math.max(1, Math.ceil(lossTokens / set.context))),
    saes,
    reconstruction.mean,
    firstTokensExcluded,
    Math.max(1, Math.min(batchSequences, Math.floor(maxLogits / logitsEach))),
    pause,
  );
  return saes.map((sae, i) => {
    const sums = reconstruction.saes[i];
    const n = reconstruction.rows;
    const fvu = sums.squaredError / reconstruction.variance;
    const { orig, zero, mean, klZero } = losses;
    const { loss, kl } = losses.saes[i];
    return {
      hook_name: hook,
      tokens: n,
      first_tokens_excluded: firstTokensExcluded > 0,
      l0: sums.active / n,
      fvu: finite(fvu),
      explained_variance: finite(1 - fvu),
      ce_orig: orig,
      ce_sae: loss,
      ce_zero: zero,
      ce_mean: mean,
      ce_loss_score_zero: finite((zero - loss) / (zero - orig)),
      ce_loss_score_mean: finite((mean - loss) / (mean - orig)),
      kl_div_score: finite((klZero - kl) / klZero),
      l2_ratio: finite(sums.normRatio / n),
      relative_reconstruction_bias: finite(sums.squaredNorm / sums.inner),
      dead_fraction: sums.firings.filter((count) => count === 0).length / sae.cfg.d_sae,
      density: densityHistogram(sums.firings, n),
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

interface SaeSums {
  active: number;
  squaredError: number;
  squaredNorm: number;
  inner: number;
  normRatio: number;
  readonly firings: Int32Array; // [d_sae]
}

async function measureReconstruction(
  model: Model,
  hook: string,
  set: Sequences,
  saes: readonly Sae[],
  skip: number,
  batchSequences: number,
  pause: () => Promise<void>,
): Promise<{ rows: number; mean: Float64Array; variance: number; saes: SaeSums[] }> {
  const width = hookWidth(model.config, hook);
  const sum = new Float64Array(width);
  const sums = saes.map(
    ({ cfg }): SaeSums => ({
      active: 0,
      squaredError: 0,
      squaredNorm: 0,
      inner: 0,
      normRatio: 0,
      firings: new Int32Array(cfg.d_sae),
    }),
  );
  let squares = 0;
  let rows = 0;
  for await (const kept of keptActivations(model, hook, set, { skip, batchSequences, pause })) {
    const x = hostView(kept)?.slice() ?? ((await kept.data()) as Float32Array);
    const n = x.length / width;
    rows += n;
    for (let at = 0; at < x.length; at++) {
      sum[at % width] += x[at];
      squares += x[at] * x[at];
    }
    for (const [i, sae] of saes.entries()) {
      const codes = await encodeAsync(sae, kept);
      addReconstruction(sums[i], codes, x, decode(sae, codes), width);
    }
    kept.dispose();
  }
  const mean = sum.map((total) => total / rows);
  const variance = squares - rows * mean.reduce((total, m) => total + m * m, 0);
  return { rows, mean, variance, saes: sums };
}

function addReconstruction(
  sums: SaeSums,
  codes: SparseCodes,
  x: Float32Array,
  xHat: Float32Array,
  width: number,
): void {
  sums.active += codes.latent.length;
  for (const latent of codes.latent) sums.firings[latent]++;
  for (let start = 0; start < x.length; start += width) {
    let error = 0;
    let norm = 0;
    let normHat = 0;
    let inner = 0;
    for (let i = start; i < start + width; i++) {
      error += (x[i] - xHat[i]) ** 2;
      norm += x[i] * x[i];
      normHat += xHat[i] * xHat[i];
      inner += x[i] * xHat[i];
    }
    sums.squaredError += error;
    sums.squaredNorm += normHat;
    sums.inner += inner;
    sums.normRatio += Math.sqrt(normHat / norm);
  }
}

interface SpliceLosses {
  readonly orig: number;
  readonly zero: number;
  readonly mean: number;
  readonly klZero: number;
  readonly saes: readonly { readonly loss: number; readonly kl: number }[];
}

/** Losses with the activations of all but the first tokens replaced: by each SAE's reconstruction, zero, the mean. */
async function measureLosses(
  model: Model,
  hook: string,
  set: Sequences,
  saes: readonly Sae[],
  mean: Float64Array,
  skip: number,
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
    const isKept = (row: number): boolean => row % context >= skip;
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

function densityHistogram(firings: Int32Array, n: number): SaeEvaluation["density"] {
  const counts = new Array<number>(log10Edges.length - 1).fill(0);
  for (const count of firings) {
    if (count === 0) continue;
    const position = (Math.log10(count / n) + 5) * 5;
    counts[Math.min(counts.length - 1, Math.max(0, Math.floor(position)))]++;
  }
  return { log10_edges: log10Edges, counts };
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
