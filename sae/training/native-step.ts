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
  let slope = new Float32Array(0); // [≥ nnz]
  let other = new Float32Array(0); // [≥ nnz]
  let whole = new Float32Array(0); // [n, d_out]
  let none = new Float32Array(0); // [d_in], zeros
  return {
    codes,
    async select(sae, rows, rule, aux) {
      const { d_in, apply_b_dec_to_input } = sae.cfg;
      const { W_enc, b_enc, b_dec } = sae.weights;
      const n = rows.length / d_in;
      if (none.length !== d_in) none = new Float32Array(d_in);
      work.center(rows, apply_b_dec_to_input ? b_dec : none);
      let least = 0;
      let count: number;
      if (rule.kind === "top") {
        const guess = guesses.get(sae) ?? 0;
        const [kept, next] = work.selectTop(W_enc, b_enc, true, rule.k, guess);
        count = kept;
        guesses.set(sae, next);
      } else if (rule.kind === "above") {
        count = work.selectAbove(W_enc, b_enc, true, rule.threshold);
      } else {
        const guess = guesses.get(sae) ?? 0.85 * sae.threshold;
        [count, least] = work.selectLargest(W_enc, b_enc, true, rule.total, guess);
        guesses.set(sae, 0.85 * least);
      }
      codes.fill(n, count, (rowStart, latent, value) =>
        work.copyCodes(false, rowStart, latent, value),
      );
      if (aux) work.selectAux(W_enc, b_enc, aux.dead, aux.k);
      return least;
    },
    takeValues: () => work.setValues(codes.value.subarray(0, codes.nnz)),
    residual({ cfg, weights }, widths, goal) {
      if (goal) work.aim(goal);
      const size = codes.nRows * cfg.d_out;
      if (whole.length !== size) whole = new Float32Array(size);
      const [main, aux, prefixes] = work.residual(weights.W_dec, Uint32Array.from(widths));
      return { main, prefixes, aux };
    },
    wholeResidual() {
      work.copyResidual(whole);
      return whole;
    },
    slopes() {
      if (slope.length < codes.nnz) slope = new Float32Array(codes.nnz);
      work.copySlopes(slope);
      return slope;
    },
    takeSlopes: () => work.setSlopes(slope.subarray(0, codes.nnz)),
    evaluate({ weights }, values, train) {
      if (other.length < codes.nnz) other = new Float32Array(codes.nnz);
      const squares = work.evaluate(weights.W_dec, values, train, other);
      return { squares, slopes: other };
    },
    update(sae, { lr, beta1, beta2, step, scale, auxScale, freeNorms, partPenalty }) {
      if (partPenalty) {
        work.penaliseParts(Uint32Array.from(partPenalty.widths), partPenalty.coefficients);
      }
      const arrays = [sae.weights, sae.m, sae.v].flatMap((group) =>
        saeArrayNames.map((name) => group[name]),
      );
      const readsBias = sae.cfg.apply_b_dec_to_input ? 1 : 0;
      const scales = [scale, auxScale, readsBias, freeNorms ? 1 : 0];
      const numbers = Float64Array.of(lr, beta1, beta2, adamEpsilon, step, ...scales);
      work.update(arrays, sae.norms, numbers);
    },
  };
}
