/**
 * @file ReLU with an L1 penalty weighted by the decoder's norms (Bricken et al. 2023, with the weights of the April
 * 2024 update): λ · mean_t Σ_i f_i ‖W_dec[i, :]‖. Where norms are held, the penalty's gradient along a decoder row,
 * which could only change its norm, is none; where they are free it is there. Rows made of parts (a crosscoder's, Lindsey et al. 2024) are
 * weighed by Σ_s ‖W_dec[i, part s]‖, whose gradient moves norm between the parts.
 */
import { partNormSums } from "../../kernels/part-norms.ts";
import { holdsNorms } from "../training-sae.ts";
import { followTarget } from "./l1-controller.ts";
import { firing, type Objective, warmedUp } from "./objective.ts";

/** f = ReLU(pre) with an L1 penalty. */
export const relu: Objective = {
  rule: ({ sae }) => ({ kind: "above", threshold: new Float32Array(sae.cfg.d_sae) }),
  slopes({ sae, n, step, options }, kernels) {
    followTarget(sae, firing(kernels) / n, step, options);
    const lambda = sae.lambda * warmedUp(step, options);
    const widths = options.partWidths ?? (holdsNorms(sae.cfg) ? null : [sae.cfg.d_out]);
    const norms = widths === null ? sae.norms : partNormSums(sae.weights.W_dec, widths);
    const coefficients = new Float32Array(widths === null ? 0 : sae.cfg.d_sae);
    const slopes = kernels.slopes();
    const { latent, value, nnz } = kernels.codes;
    let sum = 0;
    for (let p = 0; p < nnz; p++) {
      const i = latent[p];
      sum += value[p] * norms[i];
      slopes[p] -= (lambda * norms[i]) / 2;
      if (widths !== null) coefficients[i] += (lambda / n) * value[p];
    }
    kernels.takeSlopes();
    return {
      penalty: (lambda * sum) / n,
      gradients: {},
      ...(widths !== null && { partPenalty: { widths, coefficients } }),
    };
  },
};
