/**
 * @file Where the thresholds of a fresh JumpReLU begin. All begin alike, where a first batch has a small multiple of the
 * wanted L0. Thresholds move by about the learning rate a step, so that ones that begin far below theirs spend much of a
 * short run rising; a threshold of its own for each latent, by its own quantile, leaves twice as many latents dead
 * (docs/quality.md).
 */
import { hostView, tf } from "../../src/engine/index.ts";
import { preActivations } from "../encode.ts";
import { quantileOfSorted } from "../persistence/quantile.ts";
import type { Sae } from "../sae.ts";
import type { SaeTrainOptions } from "./options.ts";

/** The first batch's L0, as a multiple of the target. */
const firstL0 = 2;

/** Where neither a threshold nor a target is given, in the scaled frame. */
const withoutTarget = 1;

/** Most pre-activations that are looked at. */
const mostValues = 1 << 20;

/**
 * The first threshold of the fresh SAE `sae`, in the raw frame: `initThreshold` over `scale`, or by a batch like `sample`
 * [n, d_in] where that is null.
 */
export async function firstThreshold(
  sae: Sae,
  sample: Float32Array,
  scale: number,
  { initThreshold, targetL0 }: Pick<SaeTrainOptions, "initThreshold" | "targetL0">,
): Promise<number> {
  if (initThreshold !== null) return initThreshold / scale;
  if (targetL0 === null) return withoutTarget / scale;
  const { d_in, d_sae } = sae.cfg;
  const n = Math.min(sample.length / d_in, Math.max(1, Math.floor(mostValues / d_sae)));
  const x = tf.tensor2d(sample.slice(0, n * d_in), [n, d_in]);
  const pre = preActivations(sae, x);
  const values = (hostView(pre) ?? ((await pre.data()) as Float32Array)).slice().sort();
  tf.dispose([x, pre]);
  const share = Math.min((firstL0 * targetL0) / d_sae, 0.5);
  return Math.max(0, quantileOfSorted(values, 1 - share));
}
