/**
 * @file Gated SAEs (Rajamanoharan et al. 2024a). With the gate's pre-activation π and f = 1[π > 0] · ReLU(e^r π + c):
 *   loss = mean ‖x − x̂(f)‖² + λ mean Σ π⁺ ‖W_dec[i, :]‖ + mean ‖x − x̂(π⁺)‖²,
 * the decoder's norms held as in the paper. There the last term sees the decoder (and a skip connection) frozen; by
 * default it trains them, as SAELens's does. c = b_mag − e^r b_gate is trained in b_mag's place: the same functions,
 * and everything a code depends on is π. λ follows a target L0 where there is one.
 */
import { holdsNorms } from "../training-sae.ts";
import { followTarget } from "./l1-controller.ts";
import { firing, type Objective, warmedUp } from "./objective.ts";

/** A gate and a magnitude that share their direction. */
export const gated: Objective = {
  rule: ({ sae }) => ({ kind: "above", threshold: new Float32Array(sae.cfg.d_sae) }),
  encode({ sae }, kernels, gates) {
    const { latent, value, nnz } = kernels.codes;
    const { r_mag, c_mag } = sae.own;
    for (let p = 0; p < nnz; p++) {
      const i = latent[p];
      value[p] = Math.max(0, Math.exp(r_mag.weights[i]) * gates[p] + c_mag.weights[i]);
    }
    kernels.takeValues();
  },
  slopes({ sae, n, step, options }, kernels, open) {
    followTarget(sae, firing(kernels) / n, step, options);
    const lambda = sae.lambda * warmedUp(step, options);
    const { latent, value, nnz } = kernels.codes;
    const { r_mag, c_mag } = sae.own;
    const slopes = kernels.slopes();
    const auxiliary = kernels.evaluate(sae, open, options.gateTrainsDecoder);
    const gradients = {
      r_mag: new Float32Array(sae.cfg.d_sae),
      c_mag: new Float32Array(sae.cfg.d_sae),
    };
    const coefficients = new Float32Array(sae.cfg.d_sae);
    let sum = 0;
    for (let p = 0; p < nnz; p++) {
      const i = latent[p];
      const norm = sae.norms[i];
      coefficients[i] += (lambda * open[p]) / n;
      let slope = auxiliary.slopes[p] - (lambda * norm) / 2;
      if (value[p] > 0) {
        const gain = Math.exp(r_mag.weights[i]);
        const byMagnitude = (-2 / n) * slopes[p];
        gradients.c_mag[i] += byMagnitude;
        gradients.r_mag[i] += byMagnitude * (value[p] - c_mag.weights[i]); // e^r π
        slope += gain * slopes[p];
      }
      slopes[p] = slope;
      sum += open[p] * norm;
    }
    kernels.takeSlopes();
    return {
      penalty: (lambda * sum + auxiliary.squares) / n,
      gradients,
      ...(!holdsNorms(sae.cfg) && { partPenalty: { widths: [sae.cfg.d_out], coefficients } }),
    };
  },
};
