/**
 * @file How exact an expansion came out, measured by running both models on the same tokens: logits,
 * KL, both losses, and h_big = E h_small at every boundary of the residual stream. Argmax is no evidence: a wrong
 * final norm doubles the logits and keeps it.
 */
import { tf } from "../../engine/index.ts";
import { forwardLogits, type Model, modelSizes } from "../../models/index.ts";
import {
  type BoundaryError,
  type Exactness,
  type ExpansionMap,
  mapPoints,
} from "../map/expansion-map.ts";
import { keepHooks } from "./keep-hooks.ts";

/** Logits of one pass are kept below about this many numbers. */
const logitsPerPass = 2 ** 22;

/**
 * Compares parent and child on `batch` sequences, ids [batch · T]. The boundary error is
 * ‖h_big − E h_small‖ / ‖E h_small‖ on the worst token. A child with more tokens than its parent is compared on the
 * parent's, and the KL is between the two softmaxes over those.
 */
export async function measureExactness(
  parent: Model,
  child: Model,
  map: ExpansionMap,
  ids: Int32Array,
  batch: number,
): Promise<Exactness> {
  const context = ids.length / batch;
  const vocabulary = modelSizes(parent.config).vocabSize;
  const bigVocabulary = modelSizes(child.config).vocabSize;
  const boundaries = map.hooks
    .filter(({ from }) => /hook_resid_(pre|mid|post)$/.test(from))
    .flatMap(({ from, to, tensor }) => to.map((hook) => ({ from, to: hook, tensor })));
  const errors = new Float64Array(boundaries.length);
  let maxDifference = 0;
  let kl = 0;
  const losses = { parent: 0, child: 0 };
  const perPass = Math.max(1, Math.floor(logitsPerPass / (context * bigVocabulary)));
  for (let start = 0; start < batch; start += perPass) {
    const count = Math.min(perPass, batch - start);
    const part = ids.subarray(start * context, (start + count) * context);
    const small = await observe(
      parent,
      part,
      count,
      boundaries.map(({ from }) => from),
    );
    const big = await observe(
      child,
      part,
      count,
      boundaries.map(({ to }) => to),
    );
    boundaries.forEach(({ from, to, tensor }, i) => {
      const want = mapPoints(map, tensor, small.hooks.get(from) as Float32Array);
      const got = big.hooks.get(to) as Float32Array;
      errors[i] = Math.max(errors[i], worstRowError(got, want, modelSizes(child.config).dModel));
    });
    const pass = compareLogits(
      small.logits,
      firstColumns(big.logits, bigVocabulary, vocabulary),
      vocabulary,
    );
    maxDifference = Math.max(maxDifference, pass.maxDifference);
    kl += pass.kl;
    losses.parent += totalLoss(small.logits, part, context, vocabulary);
    losses.child += totalLoss(big.logits, part, context, bigVocabulary);
  }
  const predicted = batch * (context - 1);
  return {
    max_abs_dlogit: maxDifference,
    kl: kl / ids.length,
    loss_parent: predicted === 0 ? null : losses.parent / predicted,
    loss_child: predicted === 0 ? null : losses.child / predicted,
    boundaries: boundaries.map(
      ({ from, to }, i): BoundaryError => ({ hook_from: from, hook_to: to, rel_err: errors[i] }),
    ),
    tokens: ids.length,
  };
}

interface Observed {
  readonly logits: Float32Array;
  readonly hooks: Map<string, Float32Array>;
}

async function observe(
  model: Model,
  ids: Int32Array,
  batch: number,
  names: readonly string[],
): Promise<Observed> {
  const { hooks, seen } = keepHooks(names);
  const logits = tf.tidy(() => forwardLogits(model, ids, batch, { hooks }));
  const values = new Map<string, Float32Array>();
  for (const [name, tensor] of seen) {
    values.set(name, (await tensor.data()).slice() as Float32Array);
    tensor.dispose();
  }
  const result = (await logits.data()).slice() as Float32Array;
  logits.dispose();
  return { logits: result, hooks: values };
}

function worstRowError(got: Float32Array, want: Float32Array, width: number): number {
  let worst = 0;
  for (let start = 0; start < want.length; start += width) {
    let difference = 0;
    let norm = 0;
    for (let i = start; i < start + width; i++) {
      difference += (got[i] - want[i]) ** 2;
      norm += want[i] ** 2;
    }
    if (difference > 0) worst = Math.max(worst, Math.sqrt(difference / norm));
  }
  return worst;
}

/** The first `count` of each row's `width` numbers. */
function firstColumns(values: Float32Array, width: number, count: number): Float32Array {
  if (width === count) return values;
  const rows = values.length / width;
  const out = new Float32Array(rows * count);
  for (let row = 0; row < rows; row++) {
    out.set(values.subarray(row * width, row * width + count), row * count);
  }
  return out;
}

/** The largest |difference|, and KL(p ‖ q) summed over rows, in f64. */
function compareLogits(
  p: Float32Array,
  q: Float32Array,
  vocabulary: number,
): { maxDifference: number; kl: number } {
  let maxDifference = 0;
  let kl = 0;
  for (let start = 0; start < p.length; start += vocabulary) {
    const pNorm = logSumExp(p, start, vocabulary);
    const qNorm = logSumExp(q, start, vocabulary);
    for (let i = start; i < start + vocabulary; i++) {
      maxDifference = Math.max(maxDifference, Math.abs(p[i] - q[i]));
      const logP = p[i] - pNorm;
      kl += Math.exp(logP) * (logP - (q[i] - qNorm));
    }
  }
  return { maxDifference, kl };
}

/** Cross-entropy of the next token summed over all tokens but the last of each sequence, in nats and f64. */
function totalLoss(
  logits: Float32Array,
  ids: Int32Array,
  context: number,
  vocabulary: number,
): number {
  let total = 0;
  for (let t = 0; t < ids.length; t++) {
    if ((t + 1) % context === 0) continue;
    const start = t * vocabulary;
    total += logSumExp(logits, start, vocabulary) - logits[start + ids[t + 1]];
  }
  return total;
}

function logSumExp(values: Float32Array, start: number, count: number): number {
  let top = Number.NEGATIVE_INFINITY;
  for (let i = start; i < start + count; i++) top = Math.max(top, values[i]);
  let total = 0;
  for (let i = start; i < start + count; i++) total += Math.exp(values[i] - top);
  return top + Math.log(total);
}
