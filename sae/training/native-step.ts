/** @file A training step's parts by the native addon: encoder product and selection in one, latents updated one by one. */
import type { SaeAddon } from "../../src/engine/index.ts";
import { CodeBuffer } from "../kernels/code-buffer.ts";
import type { StepKernels } from "./step-kernels.ts";
import { adamEpsilon, saeArrayNames, type TrainingSae } from "./training-sae.ts";

/** Step kernels that compute in the addon and keep their buffers there. */
export function nativeStepKernels(addon: SaeAddon): StepKernels {
  const work = new addon.SaeWork();
  const codes = new CodeBuffer();
  /** For each SAE a guess at what its next batch keeps at least: BatchTopK as a value, TopK per norm of a row. */
  const guesses = new WeakMap<TrainingSae, number>();
  return {
    codes,
    async select(sae, rows, aux) {
      const { architecture, d_in } = sae.cfg;
      const k = sae.cfg.k as number; // both architectures have one
      const { W_enc, b_enc, b_dec } = sae.weights;
      const n = rows.length / d_in;
      work.center(rows, b_dec);
      let least = 0;
      let count: number;
      let next: number;
      if (architecture === "topk") {
        [count, next] = work.selectTop(W_enc, b_enc, true, k, guesses.get(sae) ?? 0);
      } else {
        const guess = guesses.get(sae) ?? 0.85 * sae.threshold;
        [count, least] = work.selectLargest(W_enc, b_enc, true, Math.round(k * n), guess);
        next = 0.85 * least;
      }
      guesses.set(sae, next);
      codes.fill(n, count, (rowStart, latent, value) =>
        work.copyCodes(false, rowStart, latent, value),
      );
      if (aux) work.selectAux(W_enc, b_enc, aux.dead, aux.k);
      return least;
    },
    residual({ weights }) {
      const [squares, auxSquares] = work.residual(weights.W_dec);
      return { squares, auxSquares };
    },
    update(sae, { lr, beta1, beta2, step, scale, auxScale }) {
      const arrays = [sae.weights, sae.m, sae.v].flatMap((group) =>
        saeArrayNames.map((name) => group[name]),
      );
      const numbers = Float64Array.of(lr, beta1, beta2, adamEpsilon, step, scale, auxScale);
      work.update(arrays, sae.norms, numbers);
    },
  };
}
