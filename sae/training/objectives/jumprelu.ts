/**
 * @file JumpReLU (Rajamanoharan et al. 2024b): f = pre · 1[pre > θ], θ trained itself and in f32. The step's derivative
 * is that of a rectangle of width ε around θ, so that with g = ∂loss/∂f
 *   ∂loss/∂θ_i = Σ −(θ_i g + ∂penalty/∂L0) / ε  over the pre-activations within ε/2 of θ_i.
 * Penalties: `step` λ·L0; `target` λ·(L0/target − 1)², whose slope in L0 is 2λ(L0/target − 1)/target (Gemma Scope 2);
 * `tanh` λ·Σ tanh(c·f·‖W_dec[i, :]‖) (Conerly et al. 2025), which also reaches the codes.
 */
import { holdsNorms } from "../training-sae.ts";
import { firing, type Objective, warmedUp } from "./objective.ts";

/** A threshold per latent. */
export const jumprelu: Objective = {
  rule({ sae, options: { bandwidth } }) {
    const threshold = sae.own.threshold.weights.map((theta) => Math.max(0, theta - bandwidth / 2));
    return { kind: "above", threshold };
  },
  encode({ sae }, kernels, pre) {
    const { latent, value, nnz } = kernels.codes;
    const theta = sae.own.threshold.weights;
    for (let p = 0; p < nnz; p++) if (pre[p] <= theta[latent[p]]) value[p] = 0;
    kernels.takeValues();
  },
  slopes({ sae, n, step, options }, kernels, pre) {
    const { bandwidth, sparsityMode, targetL0, l0Coefficient, tanhScale } = options;
    const lambda = l0Coefficient * sae.cfg.d_out * warmedUp(step, options);
    const { latent, value, nnz } = kernels.codes;
    const theta = sae.own.threshold.weights;
    const slopes = kernels.slopes();
    const l0 = firing(kernels) / n;
    const off = targetL0 === null ? 0 : l0 / targetL0 - 1;
    const isTarget = sparsityMode !== "tanh" && targetL0 !== null;
    const byL0 = sparsityMode === "tanh" ? 0 : isTarget ? (2 * lambda * off) / targetL0 : lambda;
    const gradient = new Float32Array(sae.cfg.d_sae);
    const coefficients = new Float32Array(sae.cfg.d_sae);
    let sum = 0;
    for (let p = 0; p < nnz; p++) {
      const i = latent[p];
      if (sparsityMode === "tanh") {
        const norm = tanhScale * sae.norms[i];
        const bounded = Math.tanh(value[p] * norm);
        sum += bounded;
        const steepness = lambda * (1 - bounded * bounded);
        slopes[p] -= (steepness * norm) / 2;
        coefficients[i] += (steepness * tanhScale * value[p]) / n;
      }
      if (Math.abs(pre[p] - theta[i]) < bandwidth / 2) {
        gradient[i] += (2 * theta[i] * slopes[p] - byL0) / (n * bandwidth);
      }
      if (value[p] === 0) slopes[p] = 0;
    }
    kernels.takeSlopes();
    const penalty =
      sparsityMode === "tanh" ? (lambda * sum) / n : isTarget ? lambda * off * off : lambda * l0;
    return {
      penalty,
      gradients: { threshold: gradient },
      ...(!holdsNorms(sae.cfg) && { partPenalty: { widths: [sae.cfg.d_out], coefficients } }),
    };
  },
};
