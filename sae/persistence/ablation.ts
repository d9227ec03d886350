/**
 * @file Whether latents of two models do the same to the output: what the logits lose when a latent's contribution is
 * taken out of the activations, in the parent and in the child, on the sequence where the parent's latent is strongest.
 * Logits are centred over the parent's vocabulary, since a constant says nothing. Cosine and ratio are over all
 * tokens and logits of that sequence; right after an exact expansion both are 1. Costs two passes of one sequence for
 * each pair and model, so it is for some of the pairs.
 */
import { tf } from "../../src/engine/index.ts";
import { forwardLogits, type Model, modelSizes } from "../../src/models/index.ts";
import type { Sequences } from "../activations.ts";
import { rowScales } from "../row-scales.ts";
import type { Sae, SparseCodes } from "../sae.ts";

/** A model, an SAE of it, and the SAE's codes of the sequences without their first tokens. */
export interface AblatedSide {
  readonly model: Model;
  readonly sae: Sae;
  readonly codes: SparseCodes;
}

/** How effects are measured. */
export interface AblationOptions {
  /** Leading tokens of each sequence that the codes leave out. */
  readonly skip: number;
  /** Awaited between passes: a chance for other work, or to stop by throwing. */
  readonly pause?: () => Promise<void>;
}

/** By pair; NaN where the parent's latent never fires or taking it out changes nothing. */
export interface AblationEffects {
  /** Cosine of the two changes. */
  readonly cos: Float32Array;
  /** Norm of the child's change over the parent's; 0 where the child's latent is silent there. */
  readonly ratio: Float32Array;
}

/** Logits of one side of a pass, at most: 64 MB in f32. */
const maxLogits = 1 << 24;

/** Effects of pairs (latent of the parent, latent of the child) on the sequences that both sides' codes are of. */
export async function ablationEffects(
  parent: AblatedSide,
  child: AblatedSide,
  set: Sequences,
  pairs: readonly (readonly [number, number])[],
  { skip, pause }: AblationOptions,
): Promise<AblationEffects> {
  const { context } = set;
  const [vocab, childVocab] = [parent, child].map(
    ({ model }) => modelSizes(model.config).vocabSize,
  );
  const strongest = strongestSequences(parent.codes, context - skip);
  const cos = new Float32Array(pairs.length).fill(Number.NaN);
  const ratio = new Float32Array(pairs.length).fill(Number.NaN);
  const size = Math.max(1, Math.min(16, Math.floor(maxLogits / (context * childVocab))));
  const firing = [...pairs.keys()].filter((p) => strongest[pairs[p][0]] >= 0);
  for (let from = 0; from < firing.length; from += size) {
    const part = firing.slice(from, from + size);
    const at = part.map((p) => strongest[pairs[p][0]]);
    const changes = (side: AblatedSide, which: 0 | 1): Promise<Float32Array> =>
      changesOf(
        side,
        set,
        at,
        part.map((p) => pairs[p][which]),
        skip,
        vocab,
      );
    const [was, is] = [await changes(parent, 0), await changes(child, 1)];
    const each = context * vocab;
    for (const [b, p] of part.entries()) {
      const [a, c] = [was, is].map((rows) => rows.subarray(b * each, (b + 1) * each));
      const [norm, other] = [Math.sqrt(dot(a, a)), Math.sqrt(dot(c, c))];
      if (norm === 0) continue;
      cos[p] = other === 0 ? 0 : dot(a, c) / (norm * other);
      ratio[p] = other / norm;
    }
    await pause?.();
  }
  return { cos, ratio };
}

/** The sequence on which each latent's activations sum to most; −1 where it never fires. */
function strongestSequences(
  { nTokens, dSae, rowStart, latent, value }: SparseCodes,
  rows: number,
): Int32Array {
  const best = new Int32Array(dSae).fill(-1);
  const most = new Float64Array(dSae);
  const sums = new Float64Array(dSae);
  for (let sequence = 0; sequence * rows < nTokens; sequence++) {
    sums.fill(0);
    const [start, end] = [rowStart[sequence * rows], rowStart[(sequence + 1) * rows]];
    for (let at = start; at < end; at++) sums[latent[at]] += value[at];
    for (let i = 0; i < dSae; i++) {
      if (sums[i] <= most[i]) continue;
      most[i] = sums[i];
      best[i] = sequence;
    }
  }
  return best;
}

/** Centred changes of the first `vocab` logits of sequences `at`, each without its own latent: [at.length · context, vocab]. */
async function changesOf(
  { model, sae, codes }: AblatedSide,
  { ids, context }: Sequences,
  at: readonly number[],
  latents: readonly number[],
  skip: number,
  vocab: number,
): Promise<Float32Array> {
  const { d_out, hook_name, hook_name_out } = sae.cfg;
  const chosen = new Int32Array(at.length * context);
  const taken = new Float32Array(chosen.length * d_out);
  for (const [b, sequence] of at.entries()) {
    chosen.set(ids.subarray(sequence * context, (sequence + 1) * context), b * context);
    for (let t = skip; t < context; t++) {
      const f = codeOf(codes, sequence * (context - skip) + t - skip, latents[b]);
      const to = (b * context + t) * d_out;
      for (let d = 0; d < d_out; d++) taken[to + d] = f * sae.W_dec[latents[b] * d_out + d];
    }
  }
  const change = tf.tidy(() => {
    const less = tf.tensor2d(taken, [chosen.length, d_out]);
    const without = (value: tf.Tensor): tf.Tensor => {
      const scales = rowScales(sae, value as tf.Tensor2D);
      return tf.sub(value, scales === null ? less : tf.mul(less, scales));
    };
    const hooks = { [hook_name_out ?? hook_name]: without };
    const all = tf.sub(
      forwardLogits(model, chosen, at.length, { hooks }),
      forwardLogits(model, chosen, at.length),
    );
    const logits = tf.slice(tf.reshape(all, [chosen.length, -1]), [0, 0], [-1, vocab]);
    return tf.sub(logits, tf.mean(logits, 1, true));
  });
  const values = (await change.data()).slice() as Float32Array;
  change.dispose();
  return values;
}

/** A latent's activation on a row. */
function codeOf({ rowStart, latent, value }: SparseCodes, row: number, wanted: number): number {
  for (let at = rowStart[row]; at < rowStart[row + 1]; at++) {
    if (latent[at] === wanted) return value[at];
  }
  return 0;
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
