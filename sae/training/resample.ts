/**
 * @file Resampling of dead latents (Bricken et al. 2023, "Neuron resampling"): each is drawn anew from an activation that
 * the SAE reconstructs badly. Rows are chosen without replacement, with a probability proportional to the square of
 * their squared error. The decoder row becomes the direction of x − b_dec at the norm it is held at, the encoder the
 * same direction at a fifth of the mean norm of the living encoders (half where latents compete by rank: a fifth is
 * hardly ever selected, and dies again), b_enc 0, thresholds and gates as a fresh SAE has them, Adam's moments 0. The
 * seed, the step and its batch decide the draw, so that a resumed run draws the same. A transcoder's latent is drawn
 * from what it reads less its mean, which b_enc takes off; its decoder row begins at zero, as a fresh one's does.
 */
import { type Rng, tf } from "../../src/engine/index.ts";
import { architectures } from "../architectures.ts";
import { reconstruct } from "../decode.ts";
import { encodeAsync } from "../encode.ts";
import { columnMeans } from "../initialise.ts";
import { rowNorms } from "../kernels/row-norms.ts";
import { withoutNorm } from "../runtime-norm.ts";
import type { SaeTrainOptions } from "./options.ts";
import { deadLatents } from "./step.ts";
import { leaveTraining, type SaeArrays, type TrainingSae } from "./training-sae.ts";

/** Norm of a resampled encoder, as a share of the living ones' mean: published for ReLU, and where k selects. */
const [encoderShare, encoderShareByRank] = [0.2, 0.5];

/**
 * Resamples the dead latents of `sae` in place from rows [n, d_in] in the scaled frame, at most one for each row that is
 * not reconstructed exactly. Returns the latents that changed, in ascending order.
 */
export async function resampleDead(
  sae: TrainingSae,
  rows: Float32Array,
  rng: Rng,
  { deadAfterTokens, initThreshold }: Pick<SaeTrainOptions, "deadAfterTokens" | "initThreshold">,
  targets: Float32Array = rows,
): Promise<number[]> {
  const { d_in, d_out, apply_b_dec_to_input } = sae.cfg;
  const dead = deadLatents(sae.sinceFired, deadAfterTokens);
  if (dead.length === 0) return [];
  const chosen = chooseRows(await squaredErrors(sae, rows, targets), dead.length, rng);
  const changed = [...dead.subarray(0, chosen.length)];
  const { weights, m, v, norms } = sae;
  const isTied = sae.cfg.hook_name_out === null;
  const centre = isTied ? weights.b_dec : columnMeans(rows, d_in);
  const share =
    architectures[sae.cfg.architecture].k === "none" ? encoderShare : encoderShareByRank;
  const encoderNorm = share * meanLiving(rowNorms(weights.W_enc, d_in), dead);
  const { threshold } = sae.own;
  const first = threshold ? (initThreshold ?? meanLiving(threshold.weights, dead)) : 0;
  for (const [p, i] of changed.entries()) {
    const x = rows.subarray(chosen[p] * d_in, (chosen[p] + 1) * d_in);
    let norm = 0;
    for (let j = 0; j < d_in; j++) norm += (x[j] - centre[j]) ** 2;
    norm = Math.sqrt(norm) || 1;
    let offset = 0;
    for (let j = 0; j < d_in; j++) {
      const direction = (x[j] - centre[j]) / norm;
      if (isTied) weights.W_dec[i * d_in + j] = direction * norms[i];
      weights.W_enc[i * d_in + j] = direction * encoderNorm;
      if (!apply_b_dec_to_input) offset -= direction * encoderNorm * centre[j];
    }
    if (!isTied) weights.W_dec.fill(0, i * d_out, (i + 1) * d_out);
    weights.b_enc[i] = offset;
    for (const moments of [m, v]) clearLatent(moments, i, sae.cfg);
    for (const [name, own] of Object.entries(sae.own)) {
      if (name === "W_skip") continue;
      own.weights[i] = name === "threshold" ? first : 0;
      own.m[i] = 0;
      own.v[i] = 0;
    }
    sae.sinceFired[i] = 0;
  }
  return changed;
}

/** Σ_j (x − x̂)² of each row (y − ŷ of a transcoder), encoded as in inference. */
async function squaredErrors(
  sae: TrainingSae,
  rows: Float32Array,
  targets: Float32Array,
): Promise<Float64Array> {
  const { d_in, d_out } = sae.cfg;
  const n = rows.length / d_in;
  const stored = withoutNorm(leaveTraining(sae, 1)); // a copy in the frame of the rows
  const x = tf.tensor2d(rows, [n, d_in]);
  const out = await reconstruct(stored, await encodeAsync(stored, x), x);
  x.dispose();
  const errors = new Float64Array(n);
  for (let at = 0; at < out.length; at++) {
    errors[Math.floor(at / d_out)] += (targets[at] - out[at]) ** 2;
  }
  return errors;
}

/**
 * At most `count` different rows, each draw proportional to the square of the row's error: those with the smallest
 * −log(u)/p (Efraimidis & Spirakis 2006).
 */
function chooseRows(errors: Float64Array, count: number, rng: Rng): number[] {
  const keys = Array.from(errors, (error, row) => ({
    row,
    key: -Math.log(1 - rng.next()) / (error * error),
  }));
  return keys
    .filter(({ key }) => Number.isFinite(key))
    .sort((a, b) => a.key - b.key || a.row - b.row)
    .slice(0, count)
    .map(({ row }) => row);
}

/** Mean of `norms` over the latents that aren't in `dead`; over all where none lives. */
function meanLiving(norms: Float32Array, dead: Int32Array): number {
  const isDead = new Set(dead);
  const living = [...norms].filter((_, i) => !isDead.has(i));
  const of = living.length > 0 ? living : [...norms];
  return of.reduce((sum, norm) => sum + norm, 0) / of.length;
}

function clearLatent(
  { W_enc, b_enc, W_dec }: SaeArrays,
  latent: number,
  { d_in, d_out }: TrainingSae["cfg"],
): void {
  W_enc.fill(0, latent * d_in, (latent + 1) * d_in);
  W_dec.fill(0, latent * d_out, (latent + 1) * d_out);
  b_enc[latent] = 0;
}
