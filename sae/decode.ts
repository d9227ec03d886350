/**
 * @file An SAE's decoder on sparse codes: Σ f_i W_dec[i, :] + b_dec, in plain JavaScript or the native addon, and
 * W_skip x besides where there is a skip connection, by a dense product on the engine. A norm that was taken off a row
 * comes back in `reconstruct`, which knows the row.
 */
import { hostView, linear, saeAddon, tf } from "../src/engine/index.ts";
import { decodeRows } from "./kernels/reconstruct.ts";
import { normaliseRows, restoreRows } from "./runtime-norm.ts";
import type { Sae, SparseCodes } from "./sae.ts";

/**
 * What the latents reconstruct of every row: [nTokens, d_out], row-major. A skip connection's part and a row's norm are
 * not in it: `reconstruct` adds them.
 */
export function decode(sae: Sae, codes: SparseCodes): Float32Array {
  const { d_out, d_sae } = sae.cfg;
  if (codes.dSae !== d_sae) {
    throw new Error(`internal: the SAE has ${d_sae} latents, the codes have ${codes.dSae}`);
  }
  const out = new Float32Array(codes.nTokens * d_out);
  const addon = saeAddon();
  if (addon) {
    addon.saeDecode(codes.rowStart, codes.latent, codes.value, sae.W_dec, sae.b_dec, out);
    return out;
  }
  decodeRows(codes, codes.nTokens, d_out, sae.W_dec, sae.b_dec, out);
  return out;
}

/** The whole reconstruction of rows x [nTokens, d_in] whose codes these are: [nTokens, d_out], row-major. */
export async function reconstruct(
  sae: Sae,
  codes: SparseCodes,
  x: tf.Tensor2D,
): Promise<Float32Array> {
  const out = decode(sae, codes);
  const skipped = sae.W_skip && (await skipProduct(sae.W_skip, x));
  if (skipped) for (let i = 0; i < out.length; i++) out[i] += skipped[i];
  const { normalize_activations: norm, d_in } = sae.cfg;
  if (norm !== "none") {
    const rows = hostView(x) ?? ((await x.data()) as Float32Array);
    restoreRows(out, normaliseRows(norm, rows, d_in));
  }
  return out;
}

/** W_skip x for every row x [n, d_in]: [n, d_out], row-major. */
export async function skipProduct(W_skip: Float32Array, x: tf.Tensor2D): Promise<Float32Array> {
  const d_in = x.shape[1];
  const product = tf.tidy(() =>
    linear(x, tf.tensor2d(W_skip, [W_skip.length / d_in, d_in]), undefined, { transposed: true }),
  );
  const values = (hostView(product) ?? ((await product.data()) as Float32Array)).slice();
  product.dispose();
  return values;
}
