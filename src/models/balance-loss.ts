/**
 * The load-balancing loss of models with experts (Fedus et al. 2021, equations 4 to 6, as transformers computes it for
 * Mixtral): N · Σ over experts of (share of the tokens that use it) · (its mean probability), over all layers' tokens
 * together. Perfect balance gives the number of experts per token. The shares are constants to the gradient.
 */
import { tf, topKMask } from "../engine/index.ts";
import type { ModelConfig } from "./config.ts";
import { modelSizes } from "./families.ts";
import { blockHook, type Hook, type Hooks } from "./hooks.ts";

/** Hooks that put each layer's router probabilities [n, N] into `found`; none for models without experts. */
export function routerHooks(config: ModelConfig, found: tf.Tensor2D[]): Hooks {
  const { nLayer, experts } = modelSizes(config);
  if (!experts) return {};
  const keep: Hook = (value) => {
    found.push(value as tf.Tensor2D);
    return undefined;
  };
  return Object.fromEntries(
    Array.from({ length: nLayer }, (_, layer) => [
      blockHook(layer, "mlp.hook_expert_weights"),
      keep,
    ]),
  );
}

/** The loss of router probabilities p [n, N] of each layer, of which each token uses the `k` largest. Differentiable. */
export function balanceLoss(p: readonly tf.Tensor2D[], k: number): tf.Scalar {
  const [n, count] = p[0].shape;
  const total = n * p.length;
  const sums = p.map((each) => tf.sum(each, 0)); // [N]
  const uses = p.map((each) => tf.sum(topKMask(each, k), 0));
  const probability = sums.reduce((a, b) => tf.add(a, b));
  const share = uses.reduce((a, b) => tf.add(a, b));
  return tf.mul(tf.sum(tf.mul(probability, share)), count / total ** 2) as tf.Scalar;
}
