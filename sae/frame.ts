/**
 * @file The scaled frame in which SAEs are trained: activations times s = √d_in / E‖x‖, so that
 * one learning rate serves models of any size. Taking an SAE along scales its biases and
 * thresholds by s and leaves both weight matrices alone (f' = s f, x̂' = s x̂), so that decoder norms,
 * which a carried SAE keeps pinned, mean the same in both frames. A transcoder's target y has a factor t of its own:
 * f' = s f and ŷ' = t ŷ scale the decoder and the skip connection by t/s, b_dec by t.
 */
import type { Sae } from "./sae.ts";

/** √d / mean Euclidean norm of the rows [n, d]. Errors: no rows, or a mean norm that is not positive. */
export function activationScale(rows: Float32Array, d: number): number {
  const n = rows.length / d;
  let total = 0;
  for (let at = 0; at < rows.length; at += d) {
    let squares = 0;
    for (let j = at; j < at + d; j++) squares += rows[j] * rows[j];
    total += Math.sqrt(squares);
  }
  const scale = (Math.sqrt(d) * n) / total;
  if (!(scale > 0) || !Number.isFinite(scale)) {
    throw new Error(`internal: activations of mean norm ${total / n} can't be scaled`);
  }
  return scale;
}

/** The SAE that does on s·x what `sae` does on x, its codes s times as large and its reconstruction t times. */
export function scaleFrame(sae: Sae, s: number, t: number = s): Sae {
  const rescaled = (w: Float32Array): Float32Array => w.map((value) => value * (t / s));
  return {
    ...sae,
    ...(t !== s && { W_dec: rescaled(sae.W_dec) }),
    ...(t !== s && sae.W_skip && { W_skip: rescaled(sae.W_skip) }),
    b_enc: sae.b_enc.map((b) => b * s),
    b_dec: sae.b_dec.map((b) => b * t),
    threshold: sae.threshold?.map((t) => t * s) ?? null,
    ...(sae.gate && { gate: { ...sae.gate, b_mag: sae.gate.b_mag.map((b) => b * s) } }),
  };
}
