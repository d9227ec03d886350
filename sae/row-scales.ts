/**
 * @file What a latent's direction is multiplied by on each row where an SAE takes a norm off its rows: the σ of
 * runtime-norm.ts, on the engine, for hooks that take a latent's contribution out of activations.
 */
import { tf } from "../src/engine/index.ts";
import type { Sae } from "./sae.ts";

/** σ of each row of x [n, d] on the engine, [n, 1]: what a latent's direction is multiplied by there; null without a norm. */
export function rowScales({ cfg }: Sae, x: tf.Tensor2D): tf.Tensor2D | null {
  const { normalize_activations: norm, d_in } = cfg;
  if (norm === "none") return null;
  return tf.tidy(() => {
    const isCentred = norm === "layer_norm";
    const rows = isCentred ? tf.sub(x, tf.mean(x, 1, true)) : x;
    const squares = tf.sum(tf.square(rows), 1, true);
    return tf.sqrt(tf.div(squares, isCentred ? Math.max(1, d_in - 1) : d_in)) as tf.Tensor2D;
  });
}
