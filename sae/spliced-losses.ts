/**
 * @file What a model loses when the activations at a hook are replaced, on all tokens that are not left out (the first
 * of each sequence, those of large norm): by SAEs' reconstructions, by zero, by the mean. Cross-entropy on every token that has a next one, KL from the
 * untouched model on every token. Sums in f64.
 */
import { tf } from "../src/engine/index.ts";
import { activationsAtAll, forwardLogits, type Model, modelSizes } from "../src/models/index.ts";
import type { Sequences } from "./activations.ts";
import { reconstruct } from "./decode.ts";
import { encodeAsync } from "./encode.ts";
import { type Reconstruction, rowsAboveEither } from "./reconstruction.ts";
import { outputHook, type Sae } from "./sae.ts";

/** Nats a token: cross-entropies per predicted token, KL(model ‖ spliced) per token. */
export interface SplicedLosses {
  readonly orig: number;
  readonly zero: number;
  readonly mean: number;
  readonly klZero: number;
  /** With each SAE's reconstructions. */
  readonly ofSaes: readonly { readonly loss: number; readonly kl: number }[];
  /** Tokens run through the model. */
  readonly tokens: number;
}

/** How losses are measured. */
export interface SplicedOptions {
  /** What the mean ablation puts in: [width]. */
  readonly mean: Float64Array;
  /** Leading tokens of each sequence that keep their own activations. */
  readonly skip: number;
  /** Tokens with activations of a larger norm keep them too. */
  readonly limits: Reconstruction["limits"];
  /** Sequences per forward pass, at most. */
  readonly batchSequences: number;
  /** Awaited between forward passes. */
  readonly pause: () => Promise<void>;
}

/** Logits of a pass, at most, where one sequence has no more: 64 MB in f32. */
const maxLogits = 1 << 24;

/** The losses of SAEs that read one hook and reconstruct one: what is replaced is what they reconstruct. */
export async function measureLosses(
  model: Model,
  set: Sequences,
  saes: readonly Sae[],
  { mean, skip, limits, batchSequences, pause }: SplicedOptions,
): Promise<SplicedLosses> {
  const { context } = set;
  const { cfg } = saes[0];
  const hook = outputHook(cfg);
  const hooks = cfg.hook_name_out === null ? [hook] : [hook, cfg.hook_name];
  const width = mean.length;
  const vocab = modelSizes(model.config).vocabSize;
  const most = Math.min(batchSequences, Math.floor(maxLogits / (context * vocab)));
  const total = { orig: 0, zero: 0, mean: 0, klZero: 0, tokens: 0 };
  const ofSae = saes.map(() => ({ loss: 0, kl: 0 }));
  for (const { ids, batch } of batches(set, Math.max(1, most))) {
    const [whole, input = whole] = activationsAtAll(model, ids, batch, hooks);
    const y = (await whole.data()).slice() as Float32Array;
    const x = input === whole ? y : ((await input.data()).slice() as Float32Array);
    const isAbove = rowsAboveEither(x, cfg.d_in, y, width, limits);
    const isKept = (row: number): boolean => row % context >= skip && isAbove[row] === 0;
    const splice = async (
      replace: (row: number, to: Float32Array) => void,
    ): Promise<Float32Array> => {
      const rows = Float32Array.from(y);
      for (let row = 0; row < ids.length; row++) {
        if (isKept(row)) replace(row, rows.subarray(row * width, (row + 1) * width));
      }
      return logitsOf(model, ids, batch, hook, rows);
    };
    const orig = await logitsOf(model, ids, batch, hook, y);
    const measure = (logits: Float32Array) => lossAndKl(logits, orig, ids, context, vocab);
    const zeroed = measure(await splice((_, to) => to.fill(0)));
    total.orig += measure(orig).loss;
    total.zero += zeroed.loss;
    total.klZero += zeroed.kl;
    total.mean += measure(await splice((_, to) => to.set(mean))).loss;
    for (const [i, sae] of saes.entries()) {
      const xHat = await reconstruct(sae, await encodeAsync(sae, input), input);
      const { loss, kl } = measure(
        await splice((row, to) => to.set(xHat.subarray(row * width, (row + 1) * width))),
      );
      ofSae[i].loss += loss;
      ofSae[i].kl += kl;
    }
    tf.dispose([whole, input]);
    total.tokens += ids.length;
    await pause();
  }
  const predicted = (total.tokens * (context - 1)) / context;
  return {
    orig: total.orig / predicted,
    zero: total.zero / predicted,
    mean: total.mean / predicted,
    klZero: total.klZero / total.tokens,
    ofSaes: ofSae.map(({ loss, kl }) => ({ loss: loss / predicted, kl: kl / total.tokens })),
    tokens: total.tokens,
  };
}

async function logitsOf(
  model: Model,
  ids: Int32Array,
  batch: number,
  hook: string,
  rows: Float32Array,
): Promise<Float32Array> {
  const replacement = tf.tensor2d(rows, [ids.length, rows.length / ids.length]);
  const logits = tf.tidy(() =>
    forwardLogits(model, ids, batch, { hooks: { [hook]: () => replacement } }),
  );
  const values = (await logits.data()) as Float32Array;
  tf.dispose([replacement, logits]);
  return values;
}

/** Summed in nats: cross-entropy of the next tokens, and KL(softmax(reference) ‖ softmax(logits)) over all tokens. */
function lossAndKl(
  logits: Float32Array,
  reference: Float32Array,
  ids: Int32Array,
  context: number,
  vocab: number,
): { loss: number; kl: number } {
  let loss = 0;
  let kl = 0;
  for (let row = 0; row < ids.length; row++) {
    const at = row * vocab;
    const norm = logSumExp(logits, at, vocab);
    if ((row + 1) % context !== 0) loss += norm - logits[at + ids[row + 1]];
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
