/**
 * @file Controls that turn the directions of an SAE before it trains on.
 *   turnLatents   some latents, by 45° to 60° each: perturb and return. What the model really has pulls a turned latent
 *                 back to where it was; what only stayed in place by inertia stays where it was put.
 *   turnAll       all of them by one random orthogonal matrix: the floor of every cosine to the own start, for a
 *                 dictionary of the same norms and angles that knows nothing of the model.
 * Encoder and decoder of a latent are turned by the same angle, norms and biases stay as they are. A transcoder that
 * writes activations of another width than it reads has its decoder turned by a direction, or a matrix, of that width.
 */
import type { Rng } from "../src/engine/index.ts";
import { transposed } from "./kernels/transpose.ts";
import type { Sae } from "./sae.ts";

/** Angles of `turnLatents`, degrees. */
export const turnAngles: readonly [number, number] = [45, 60];

/** An SAE some of whose latents were turned. */
export interface TurnedSae {
  readonly sae: Sae;
  /** Those that were, ascending. */
  readonly turned: Int32Array;
}

/** Turns `share` of the first `nLatents` latents (at least one), each towards a random direction of its own. */
export function turnLatents(sae: Sae, nLatents: number, share: number, rng: Rng): TurnedSae {
  const { d_in, d_out, d_sae } = sae.cfg;
  const order = Int32Array.from({ length: nLatents }, (_, i) => i);
  rng.fork("latents").shuffle(order);
  const turned = order.slice(0, Math.max(1, Math.round(share * nLatents))).sort();
  const encoder = transposed(sae.W_enc, d_in, d_sae); // [d_sae, d_in]
  const W_dec = sae.W_dec.slice();
  for (const latent of turned) {
    const own = rng.fork(latent);
    const [least, most] = turnAngles;
    const angle = ((least + (most - least) * own.next()) * Math.PI) / 180;
    const direction = (d: number): Float64Array =>
      Float64Array.from({ length: d }, () => own.normal());
    const towards = direction(d_in);
    turn(row(encoder, latent, d_in), towards, angle);
    turn(row(W_dec, latent, d_out), d_out === d_in ? towards : direction(d_out), angle);
  }
  const W_enc = transposed(encoder, d_sae, d_in);
  return { sae: { ...sae, W_enc, W_dec }, turned };
}

/** Turns every encoder column and decoder row by one random orthogonal matrix; where they differ in width, by one each. */
export function turnAll(sae: Sae, rng: Rng): Sae {
  const { d_in, d_out, d_sae } = sae.cfg;
  const Q = randomOrthogonal(d_in, rng);
  const encoder = transposed(sae.W_enc, d_in, d_sae);
  const W_enc = transposed(timesQ(encoder, Q, d_in), d_sae, d_in);
  const W_dec = timesQ(sae.W_dec, d_out === d_in ? Q : randomOrthogonal(d_out, rng), d_out);
  return { ...sae, W_enc, W_dec };
}

function row(rows: Float32Array, i: number, d: number): Float32Array {
  return rows.subarray(i * d, (i + 1) * d);
}

/** Turns v in place by `angle` within the plane of v and `towards`; a zero vector stays zero. */
function turn(v: Float32Array, towards: Float64Array, angle: number): void {
  const norm = Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
  if (norm === 0) return;
  let along = 0;
  for (let i = 0; i < v.length; i++) along += (v[i] / norm) * towards[i];
  const across = towards.map((x, i) => x - (along * v[i]) / norm);
  const length = Math.sqrt(across.reduce((sum, x) => sum + x * x, 0));
  const [cos, sin] = [Math.cos(angle), (Math.sin(angle) * norm) / length];
  for (let i = 0; i < v.length; i++) v[i] = cos * v[i] + sin * across[i];
}

/** Rows of an orthogonal matrix, uniform over all of them: Gram–Schmidt, twice for accuracy, on normal rows. */
function randomOrthogonal(d: number, rng: Rng): Float64Array {
  const Q = Float64Array.from({ length: d * d }, () => rng.normal());
  for (let row = 0; row < d; row++) {
    const own = Q.subarray(row * d, (row + 1) * d);
    for (let pass = 0; pass < 2; pass++) {
      for (let before = 0; before < row; before++) {
        const other = Q.subarray(before * d, (before + 1) * d);
        let dot = 0;
        for (let i = 0; i < d; i++) dot += own[i] * other[i];
        for (let i = 0; i < d; i++) own[i] -= dot * other[i];
      }
    }
    const norm = Math.sqrt(own.reduce((sum, x) => sum + x * x, 0));
    for (let i = 0; i < d; i++) own[i] /= norm;
  }
  return Q;
}

function timesQ(rows: Float32Array, Q: Float64Array, d: number): Float32Array {
  const out = new Float32Array(rows.length);
  const sums = new Float64Array(d);
  for (let at = 0; at < rows.length; at += d) {
    sums.fill(0);
    for (let i = 0; i < d; i++) {
      const x = rows[at + i];
      for (let j = 0; j < d; j++) sums[j] += x * Q[i * d + j];
    }
    out.set(sums, at);
  }
  return out;
}
