import { expect, test } from "vitest";
import { initialiseSae } from "../../../sae/initialise.ts";
import { saeConfig } from "../../../sae/sae.ts";
import {
  type SaeTrainOptions,
  saeLearningRate,
  saeTrainDefaults,
} from "../../../sae/training/options.ts";
import { applyGradients, createStepScratch, saeGradients } from "../../../sae/training/step.ts";
import { enterTraining, type TrainingSae } from "../../../sae/training/training-sae.ts";
import { createRng } from "../../../src/engine/index.ts";
import { draw } from "../support/random-sae.ts";

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

function preActivations(sae: TrainingSae): Float32Array {
  const x = centred(sae);
  const pre = new Float32Array(n * dSae);
  for (let t = 0; t < n; t++) {
    for (let i = 0; i < dSae; i++) {
      let sum = sae.weights.b_enc[i];
      for (let j = 0; j < d; j++) sum += sae.weights.W_enc[i * d + j] * x[t * d + j];
      pre[t * dSae + i] = sum;
    }
  }
  return pre;
}

function run(sae: TrainingSae, given: SaeTrainOptions = options) {
  const scratch = createStepScratch(sae.cfg);
  const figures = saeGradients(sae, preActivations(sae), centred(sae), 1, given, scratch);
  return { scratch, figures };
}

test("dead latents get a gradient from AuxK, of the loss with the residual held fixed", () => {
  const sae = withDead();
  const { scratch, figures } = run(sae);
  expect(figures.dead_fraction).toBeCloseTo(0.4);
  expect(figures.aux_loss).toBeGreaterThan(0);
  const residual = scratch.residual.slice();
  const h = 1e-3;
  for (const name of ["W_enc", "W_dec", "b_enc"] as const) {
    const perLatent = sae.weights[name].length / dSae;
    const gradient = scratch.gradients[name];
    let largest = 0;
    for (let at = 0; at < 4 * perLatent; at++) {
      const kept = sae.weights[name][at];
      sae.weights[name][at] = kept + h;
      const up = naiveAuxLoss(sae, residual);
      const hUp = sae.weights[name][at] - kept;
      sae.weights[name][at] = kept - h;
      const down = naiveAuxLoss(sae, residual);
      const hDown = kept - sae.weights[name][at];
      sae.weights[name][at] = kept;
      expect(gradient[at]).toBeCloseTo((up - down) / (hUp + hDown), 2);
      largest = Math.max(largest, Math.abs(gradient[at]));
    }
    expect(largest).toBeGreaterThan(0.01);
  }
});

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

test("AuxK leaves the gradients of living latents alone, except b_dec through the encoder", () => {
  const withAux = run(withDead());
  const none = { ...withDead(), sinceFired: new Float64Array(dSae) };
  const without = run(none);
  expect(without.figures.aux_loss).toBe(0);
  for (const name of ["W_enc", "W_dec", "b_enc"] as const) {
    const from = 4 * (withAux.scratch.gradients[name].length / dSae);
    expect(withAux.scratch.gradients[name].slice(from)).toEqual(
      without.scratch.gradients[name].slice(from),
    );
    expect(without.scratch.gradients[name].slice(0, from).every((g) => g === 0)).toBe(true);
  }
});

test("few dead latents count for less", () => {
  const sae = withDead();
  for (let i = 1; i < 4; i++) sae.sinceFired[i] = 0;
  const one = run(sae).figures.aux_loss;
  const sameButSmallK = run(
    { ...sae, sinceFired: withDead().sinceFired.map((s, i) => (i ? 0 : s)) },
    {
      ...options,
      kAux: 1,
    },
  ).figures.aux_loss;
  expect(one).toBeCloseTo(sameButSmallK / 3, 6);
});

test("counters count tokens and are cleared by a firing", () => {
  const sae = withDead();
  const { scratch } = run(sae);
  const fired = new Set(scratch.codes.latent.subarray(0, scratch.codes.nnz));
  expect(fired.size).toBeGreaterThan(0);
  for (let i = 0; i < dSae; i++) {
    expect(sae.sinceFired[i]).toBe(fired.has(i) ? 0 : (i < 4 ? 100 : 0) + n);
  }
});

test("the moving threshold starts at the first batch's smallest selected value and then moves slowly", () => {
  const cfg = saeConfig({ ...withDead().cfg, architecture: "batchtopk" });
  const sae = { ...withDead(), cfg };
  const pre = preActivations(sae);
  const smallest = [...pre].sort((a, b) => b - a)[2 * n - 1];
  run(sae);
  expect(sae.threshold).toBe(smallest);
  sae.threshold = 2;
  run(sae);
  expect(sae.threshold).toBeCloseTo(2 + options.thresholdRate * (smallest - 2), 6);
});

test("a step lowers the loss and keeps the decoder's norms", () => {
  const sae = withDead();
  let first = Number.NaN;
  let last = Number.NaN;
  for (let step = 1; step <= 60; step++) {
    const { scratch, figures } = run(sae);
    if (step === 1) first = figures.loss;
    last = figures.loss;
    applyGradients(sae, step, 0.05, options, scratch);
  }
  expect(last).toBeLessThan(0.5 * first);
  for (let i = 0; i < dSae; i++) {
    const row = sae.weights.W_dec.subarray(i * d, (i + 1) * d);
    expect(Math.hypot(...row)).toBeCloseTo(sae.norms[i], 5);
  }
});

test("the rate rises linearly, stays, and falls linearly to the last step", () => {
  const schedule = { steps: 10, lr: 1, warmup: 0.2, decay: 0.4 };
  const rates = Array.from({ length: 10 }, (_, i) => saeLearningRate(i + 1, schedule));
  expect(rates).toBeAllclose([0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25]);
  expect(saeLearningRate(1, { steps: 1, lr: 2, warmup: 0, decay: 0 })).toBe(2);
});
