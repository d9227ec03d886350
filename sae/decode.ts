/** @file An SAE's decoder on sparse codes: Σ f_i W_dec[i, :] + b_dec, in plain JavaScript or the native addon. */
import { saeAddon } from "../src/engine/index.ts";
import { decodeRows } from "./kernels/reconstruct.ts";
import type { Sae, SparseCodes } from "./sae.ts";

/** The reconstruction of every row: [nTokens, d_in], row-major. */
export function decode(sae: Sae, codes: SparseCodes): Float32Array {
  const { d_in, d_sae } = sae.cfg;
  if (codes.dSae !== d_sae) {
    throw new Error(`internal: the SAE has ${d_sae} latents, the codes have ${codes.dSae}`);
  }
  const out = new Float32Array(codes.nTokens * d_in);
  const addon = saeAddon();
  if (addon) {
    addon.saeDecode(codes.rowStart, codes.latent, codes.value, sae.W_dec, sae.b_dec, out);
    return out;
  }
  decodeRows(codes, codes.nTokens, d_in, sae.W_dec, sae.b_dec, out);
  return out;
}
