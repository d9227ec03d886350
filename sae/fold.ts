/**
 * @file Moving scale between a latent's encoder and its decoder without changing what the SAE does.
 * With f' = c f for latent i: W_enc[:, i], b_enc_i, threshold_i and a gate's b_mag_i times c, W_dec[i, :] over c. For
 * an SAE with a threshold or a gate per latent any c > 0 per latent leaves the firing latents and the
 * reconstruction as they were. For TopK, which compares latents with each other, only a common c
 * does; other libraries fold unequal norms into TopK encoders and so change the selection.
 */
import { rowNorms } from "./kernels/row-norms.ts";
import type { Sae } from "./sae.ts";

/** The same SAE with latent i's activations `factors[i]` > 0 times as large. Errors: unequal factors for topk. */
export function fold(sae: Sae, factors: ArrayLike<number>): Sae {
  const { d_sae, architecture } = sae.cfg;
  for (let i = 0; i < d_sae; i++) {
    if (!(factors[i] > 0) || !Number.isFinite(factors[i])) {
      throw new Error(`internal: fold factor ${factors[i]} of latent ${i} is not positive`);
    }
    if (architecture === "topk" && factors[i] !== factors[0]) {
      throw new Error("internal: folding unequal factors into a topk SAE changes its selection");
    }
  }
  return scaleLatents(sae, factors);
}

/**
 * The same SAE for a topk one that selects by pre · ‖W_dec[i, :]‖ and divides by the norm in decoding (SAELens's
 * rescale_acts_by_decoder_norm): its norms belong in the encoder. Norms of one to within 1e-6 stay as they are.
 */
export function foldRescaling(sae: Sae): Sae {
  const norms = rowNorms(sae.W_dec, sae.cfg.d_out);
  return norms.every((norm) => Math.abs(norm - 1) <= 1e-6) ? sae : scaleLatents(sae, norms);
}

function scaleLatents(sae: Sae, factors: ArrayLike<number>): Sae {
  const { d_out, d_sae } = sae.cfg;
  return {
    ...sae,
    W_enc: sae.W_enc.map((w, at) => w * factors[at % d_sae]),
    b_enc: sae.b_enc.map((b, i) => b * factors[i]),
    W_dec: sae.W_dec.map((w, at) => w / factors[Math.floor(at / d_out)]),
    b_dec: sae.b_dec.slice(),
    threshold: sae.threshold?.map((t, i) => t * factors[i]) ?? null,
    ...(sae.gate && {
      gate: { r_mag: sae.gate.r_mag, b_mag: sae.gate.b_mag.map((b, i) => b * factors[i]) },
    }),
  };
}

/** Folds the decoder norms into the encoder: unit decoder rows, same function. Zero rows stay. */
export function foldDecoderNorms(sae: Sae): Sae {
  return fold(
    sae,
    Float64Array.from(rowNorms(sae.W_dec, sae.cfg.d_out), (norm) => norm || 1),
  );
}

/**
 * Folds so that all positive thresholds become their mean, which is what BatchTopK training, with
 * its one threshold, needs of an SAE that comes with several. Returns the SAE itself where nothing
 * is to be done.
 */
export function equaliseThresholds(sae: Sae): Sae {
  const { threshold } = sae;
  if (!threshold || threshold.every((t) => t === threshold[0])) return sae;
  const positive = threshold.filter((t) => t > 0);
  const mean = positive.reduce((sum, t) => sum + t, 0) / positive.length;
  const folded = fold(
    sae,
    Float64Array.from(threshold, (t) => (t > 0 ? mean / t : 1)),
  );
  return { ...folded, threshold: threshold.map((t) => (t > 0 ? mean : t)) };
}
