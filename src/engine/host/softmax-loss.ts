/**
 * Cross-entropy over rows of logits as plain loops: per-token loss in nats and, in place of the
 * logits, the gradient softmax − one-hot times a weight. Numerically stable by the row maximum.
 */
import { fastExp } from "./fast-exp.ts";

/**
 * Writes −log softmax(logits)[target] into `loss` [n] and overwrites `logits` [n, V] with
 * weight·(softmax(logits) − onehot(target)).
 */
export function softmaxLossInPlace(
  logits: Float32Array, // [n, V], overwritten
  targets: Int32Array, // [n]
  vocab: number,
  weight: number,
  loss: Float32Array, // [n]
): void {
  for (let row = 0; row < targets.length; row++) {
    const at = row * vocab;
    let max = -Infinity;
    for (let j = 0; j < vocab; j++) if (logits[at + j] > max) max = logits[at + j];
    const target = logits[at + targets[row]];
    let sum = 0;
    for (let j = 0; j < vocab; j++) {
      const e = fastExp(logits[at + j] - max);
      logits[at + j] = e;
      sum += e;
    }
    loss[row] = Math.log(sum) + max - target;
    const factor = weight / sum;
    for (let j = 0; j < vocab; j++) logits[at + j] *= factor;
    logits[at + targets[row]] -= weight;
  }
}

/** Writes −log softmax(logits)[target] into `loss` [n]; the logits stay as they are. */
export function softmaxLoss(
  logits: Float32Array, // [n, V]
  targets: Int32Array, // [n]
  vocab: number,
  loss: Float32Array, // [n]
): void {
  for (let row = 0; row < targets.length; row++) {
    const at = row * vocab;
    let max = -Infinity;
    for (let j = 0; j < vocab; j++) if (logits[at + j] > max) max = logits[at + j];
    let sum = 0;
    for (let j = 0; j < vocab; j++) sum += fastExp(logits[at + j] - max);
    loss[row] = Math.log(sum) + max - logits[at + targets[row]];
  }
}
