// Both implementations of a step's parts: gradients are read from Adam's first moment with beta1 = 0.
import { describe, expect, test } from "vitest";
import { initialiseSae } from "../../../sae/initialise.ts";
import { decodeRows } from "../../../sae/kernels/reconstruct.ts";
import { projectOutRows } from "../../../sae/kernels/row-norms.ts";
import { saeConfig } from "../../../sae/sae.ts";
import { nativeStepKernels } from "../../../sae/training/native-step.ts";
import {
  type SaeTrainOptions,
  saeLearningRate,
  saeTrainDefaults,
} from "../../../sae/training/options.ts";
import { plainStepKernels } from "../../../sae/training/plain-step.ts";
import { prepareStep } from "../../../sae/training/step.ts";
import type { StepKernels } from "../../../sae/training/step-kernels.ts";
import { enterTraining, type TrainingSae } from "../../../sae/training/training-sae.ts";
import { createRng, type SaeAddon, saeAddon } from "../../../src/engine/index.ts";
import { missingNative } from "../../support/native.ts";
import { testWith } from "../../support/require.ts";
import { draw } from "../support/random-sae.ts";

const missing = await missingNative();
const d = 6;
const dSae = 10;
const n = 25;
const options: SaeTrainOptions = { ...saeTrainDefaults, steps: 10, deadAfterTokens: 100, kAux: 3 };
const rows = draw("rows", n * d);

/** An SAE in training whose latents 0–3 are dead and, by their bias, not selected. */
function withDead(): TrainingSae {
  const cfg = saeConfig({
    architecture: "topk",
    d_in: d,
    d_sae: dSae,
    k: 2,
    hook_name: "hook_embed",
    aux_coefficient: 0.5,
  });
  const sae = enterTraining(initialiseSae(cfg, rows, createRng(3)), 1, true);
  for (let i = 0; i < 4; i++) {
    sae.sinceFired[i] = 100;
    // others are always ahead of the dead
    sae.weights.b_enc[i] = 0.5;
  }
  for (let i = 4; i < dSae; i++) sae.weights.b_enc[i] = 30;
  return sae;
}

function centred(sae: TrainingSae): Float32Array {
  return rows.map((x, at) => x - sae.weights.b_dec[at % d]);
}

/** Figures and gradients of one batch; the gradient of W_dec as Adam gets it, its rows' norms held. */
async function run(sae: TrainingSae, kernels: StepKernels, given: SaeTrainOptions = options) {
  const { figures, apply } = await prepareStep(sae, rows, 1, { ...given, beta1: 0 }, kernels);
  apply(1, 0);
  return { figures, gradients: sae.m, codes: kernels.codes };
}

/** x − b_dec − Σ f W_dec for the codes just selected. */
function residualOf(sae: TrainingSae, { codes }: StepKernels): Float32Array {
  const decoded = new Float32Array(n * d);
  decodeRows(codes, n, d, sae.weights.W_dec, new Float32Array(d), decoded);
  return centred(sae).map((x, at) => x - decoded[at]);
}

function smallestOf(sae: TrainingSae, count: number): number {
  const x = centred(sae);
  const pre: number[] = [];
  for (let t = 0; t < n; t++) {
    for (let i = 0; i < dSae; i++) {
      let sum = sae.weights.b_enc[i];
      for (let j = 0; j < d; j++) sum += sae.weights.W_enc[i * d + j] * x[t * d + j];
      pre.push(sum);
    }
  }
  return pre.sort((a, b) => b - a)[count - 1];
}

for (const [title, make, it] of [
  ["plain loops", () => plainStepKernels(d, dSae), test],
  ["the addon", () => nativeStepKernels(saeAddon() as SaeAddon), testWith("native", missing)],
] as const) {
  describe(title, () => {
    it("dead latents get a gradient from AuxK, of the loss with the residual held fixed", async () => {
      const sae = withDead();
      const kernels = make();
      const { gradients, figures } = await run(sae, kernels);
      expect(figures.dead_fraction).toBeCloseTo(0.4);
      expect(figures.aux_loss).toBeGreaterThan(0);
      const residual = residualOf(sae, kernels);
      const h = 1e-3;
      for (const name of ["W_enc", "W_dec", "b_enc"] as const) {
        const weights = sae.weights[name];
        const count = (4 * weights.length) / dSae;
        const want = new Float32Array(count);
        for (let at = 0; at < count; at++) {
          const kept = weights[at];
          weights[at] = kept + h;
          const up = naiveAuxLoss(sae, residual);
          const hUp = weights[at] - kept;
          weights[at] = kept - h;
          const down = naiveAuxLoss(sae, residual);
          const hDown = kept - weights[at];
          weights[at] = kept;
          want[at] = (up - down) / (hUp + hDown);
        }
        if (name === "W_dec") projectOutRows(want, weights.subarray(0, count), d);
        for (let at = 0; at < count; at++) expect(gradients[name][at]).toBeCloseTo(want[at], 2);
        expect(Math.max(...gradients[name].subarray(0, count).map(Math.abs))).toBeGreaterThan(0.01);
      }
    });

    it("AuxK leaves the gradients of living latents alone, except b_dec through the encoder", async () => {
      const withAux = await run(withDead(), make());
      const none = { ...withDead(), sinceFired: new Float64Array(dSae) };
      const without = await run(none, make());
      expect(without.figures.aux_loss).toBe(0);
      for (const name of ["W_enc", "W_dec", "b_enc"] as const) {
        const from = 4 * (withAux.gradients[name].length / dSae);
        expect(withAux.gradients[name].slice(from)).toEqual(without.gradients[name].slice(from));
        expect(without.gradients[name].slice(0, from).every((g) => g === 0)).toBe(true);
      }
    });

    it("few dead latents count for less", async () => {
      const sae = withDead();
      for (let i = 1; i < 4; i++) sae.sinceFired[i] = 0;
      const one = (await run(sae, make())).figures.aux_loss;
      const sameButSmallK = await run(
        { ...withDead(), sinceFired: withDead().sinceFired.map((s, i) => (i ? 0 : s)) },
        make(),
        { ...options, kAux: 1 },
      );
      expect(one).toBeGreaterThan(0);
      expect(one).toBeCloseTo(sameButSmallK.figures.aux_loss / 3, 5);
    });

    it("counters count tokens and are cleared by a firing", async () => {
      const sae = withDead();
      const { codes } = await run(sae, make());
      const fired = new Set(codes.latent.subarray(0, codes.nnz));
      expect(fired.size).toBeGreaterThan(0);
      for (let i = 0; i < dSae; i++) {
        expect(sae.sinceFired[i]).toBe(fired.has(i) ? 0 : (i < 4 ? 100 : 0) + n);
      }
    });

    it("the moving threshold starts at the first batch's smallest selected value and then moves slowly", async () => {
      const cfg = saeConfig({ ...withDead().cfg, architecture: "batchtopk" });
      const sae = { ...withDead(), cfg };
      const smallest = smallestOf(sae, 2 * n);
      await run(sae, make());
      expect(sae.threshold).toBeCloseTo(smallest, 4);
      const again = { ...withDead(), cfg, threshold: 2 };
      await run(again, make());
      expect(again.threshold).toBeCloseTo(2 + options.thresholdRate * (smallest - 2), 4);
    });

    it("a step lowers the loss and keeps the decoder's norms", async () => {
      const sae = withDead();
      const kernels = make();
      let first = Number.NaN;
      let last = Number.NaN;
      for (let step = 1; step <= 60; step++) {
        const { figures, apply } = await prepareStep(sae, rows, 1, options, kernels);
        if (step === 1) first = figures.loss;
        last = figures.loss;
        apply(step, 0.05);
      }
      expect(last).toBeLessThan(0.5 * first);
      for (let i = 0; i < dSae; i++) {
        const row = sae.weights.W_dec.subarray(i * d, (i + 1) * d);
        expect(Math.hypot(...row)).toBeCloseTo(sae.norms[i], 5);
      }
    });
  });
}

/** 0.5 · min(4/3, 1) · mean_t ‖residual_t − Σ over the 3 largest dead latents‖², in f64. */
function naiveAuxLoss(sae: TrainingSae, residual: Float32Array): number {
  const { W_enc, b_enc, W_dec } = sae.weights;
  const x = centred(sae);
  let total = 0;
  for (let t = 0; t < n; t++) {
    const f = [0, 1, 2, 3].map((i) => {
      let sum = b_enc[i];
      for (let j = 0; j < d; j++) sum += W_enc[i * d + j] * x[t * d + j];
      return sum;
    });
    const least = [...f].sort((a, b) => b - a)[2];
    for (let j = 0; j < d; j++) {
      let r = residual[t * d + j];
      f.forEach((value, i) => {
        if (value >= least && value > 0) r -= value * W_dec[i * d + j];
      });
      total += r * r;
    }
  }
  return (0.5 * total) / n;
}

test("the rate rises linearly, stays, and falls linearly to the last step", () => {
  const schedule = { steps: 10, lr: 1, warmup: 0.2, decay: 0.4 };
  const rates = Array.from({ length: 10 }, (_, i) => saeLearningRate(i + 1, schedule));
  expect(rates).toBeAllclose([0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25]);
  expect(saeLearningRate(1, { steps: 1, lr: 2, warmup: 0, decay: 0 })).toBe(2);
});
