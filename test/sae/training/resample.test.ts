import { beforeAll, describe, expect, test } from "vitest";
import {
  createSaeTrainer,
  initialiseSae,
  type SaeArchitecture,
  saeConfig,
} from "../../../sae/index.ts";
import { rowNorms } from "../../../sae/kernels/row-norms.ts";
import { saeTrainDefaults } from "../../../sae/training/options.ts";
import { resampleDead } from "../../../sae/training/resample.ts";
import {
  enterTraining,
  type TrainingSae,
  trainingTensors,
} from "../../../sae/training/training-sae.ts";
import { createRng, useBackend } from "../../../src/engine/index.ts";
import { decodeSafetensors, encodeSafetensors, sha256 } from "../../../src/io/index.ts";
import { testBackend } from "../../support/backend.ts";
import { plant, plantedSource } from "../support/planted.ts";
import { draw } from "../support/random-sae.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const [d, dSae] = [5, 7];
const options = { ...saeTrainDefaults, deadAfterTokens: 100, initThreshold: 1.5, steps: 1 };

/** An SAE in training whose moments are all 1 and whose latents `dead` haven't fired for long. */
function training(architecture: SaeArchitecture, rows: Float32Array, dead: number[]): TrainingSae {
  const cfg = saeConfig({
    ...{ architecture, d_in: d, d_sae: dSae, hook_name: "h" },
    k: architecture === "topk" ? 2 : null,
  });
  const sae = enterTraining(initialiseSae(cfg, rows, createRng("resample")), 1, true, options);
  for (const group of [sae.m, sae.v]) for (const array of Object.values(group)) array.fill(1);
  for (const { m, v } of Object.values(sae.own)) for (const array of [m, v]) array.fill(1);
  for (const i of dead) sae.sinceFired[i] = 100;
  return sae;
}

const tensorsOf = (sae: TrainingSae) => trainingTensors(sae, "");

describe.each(["standard", "topk", "jumprelu", "gated"] as const)("%s", (architecture) => {
  const rows = draw("resample rows", 40 * d);

  test("a dead latent points at a badly reconstructed row, its moments are zero, the others stay as they were", async () => {
    const sae = training(architecture, rows, [2, 6]);
    const before = tensorsOf(sae);
    const held = sae.norms.slice();
    expect(await resampleDead(sae, rows, createRng("a"), options)).toEqual([2, 6]);
    const after = tensorsOf(sae);
    const living = rowNorms(sae.weights.W_enc, d).filter((_, i) => i !== 2 && i !== 6);
    const mean = living.reduce((sum, norm) => sum + norm, 0) / living.length;
    for (const i of [2, 6]) {
      const row = sae.weights.W_dec.subarray(i * d, (i + 1) * d);
      const aligned = Array.from({ length: 40 }, (_, t) => {
        const x = rows.subarray(t * d, (t + 1) * d).map((value, j) => value - sae.weights.b_dec[j]);
        return row.reduce((sum, w, j) => sum + w * x[j], 0) / Math.hypot(...x) / held[i];
      });
      expect(Math.max(...aligned)).toBeCloseTo(1, 5);
      expect(Math.hypot(...row)).toBeCloseTo(held[i], 5);
      expect(rowNorms(sae.weights.W_enc, d)[i]).toBeCloseTo(
        (architecture === "topk" ? 0.5 : 0.2) * mean,
        5,
      );
      expect(sae.weights.b_enc[i]).toBe(0);
      expect(sae.sinceFired[i]).toBe(0);
      if (architecture === "jumprelu") expect(sae.own.threshold.weights[i]).toBe(1.5);
    }
    for (const [name, { data, shape }] of after) {
      if (shape[0] !== dSae) continue;
      const width = data.length / dSae;
      for (let i = 0; i < dSae; i++) {
        const part = (array: typeof data) => [...array.slice(i * width, (i + 1) * width)];
        if (i !== 2 && i !== 6) expect(part(data)).toEqual(part(before.get(name)?.data as never));
        else if (/^[mv]\.|\.[mv]$/.test(name)) expect(part(data)).toEqual(Array(width).fill(0));
      }
    }
  });

  test("without a first threshold given, a resampled latent's is the living ones' mean", async () => {
    const sae = training(architecture, rows, [2, 6]);
    const { threshold } = sae.own;
    if (architecture !== "jumprelu") return expect(threshold).toBeUndefined();
    threshold.weights.set([1, 2, 90, 3, 4, 5, 90]);
    await resampleDead(sae, rows, createRng("a"), { ...options, initThreshold: null });
    expect([...threshold.weights]).toEqual([1, 2, 3, 3, 4, 5, 3]);
  });

  test("no latent dead, nothing changed", async () => {
    const sae = training(architecture, rows, []);
    const before = tensorsOf(sae);
    expect(await resampleDead(sae, rows, createRng("a"), options)).toEqual([]);
    expect(tensorsOf(sae)).toEqual(before);
  });
});

test("rows are chosen in proportion to the square of their squared error, each at most once", async () => {
  // with every latent dead but one that never fires, x̂ is b_dec = 0 and a row's squared error its squared norm
  const rows = new Float32Array(4 * d);
  for (let t = 0; t < 4; t++) rows[t * d + t] = [0, 1, 1.5, 2][t];
  const drawn = [0, 0, 0, 0];
  for (let trial = 0; trial < 400; trial++) {
    const sae = training("standard", rows, [3]);
    sae.weights.b_dec.fill(0);
    sae.weights.W_enc.fill(0);
    await resampleDead(sae, rows, createRng(`trial ${trial}`), options);
    drawn[sae.weights.W_dec.subarray(3 * d, 4 * d).findIndex((w) => w > 0.99)] += 1;
  }
  const total = 1 + 1.5 ** 4 + 16;
  expect(drawn[0]).toBe(0); // reconstructed exactly
  const expected = [1, 1.5 ** 4, 16].map((weight) => (400 * weight) / total);
  for (const [i, want] of expected.entries()) {
    expect(Math.abs(drawn[i + 1] - want)).toBeLessThan(4 * Math.sqrt(want));
  }
  const all = training("standard", rows, [0, 1, 2, 3, 4]);
  all.weights.b_dec.fill(0);
  all.weights.W_enc.fill(0);
  expect(await resampleDead(all, rows, createRng("all"), options)).toEqual([0, 1, 2]);
});

describe("in a training run", () => {
  const source = plantedSource(plant(8192, 32, 64, 3), 32, 256);
  const job = {
    name: "a",
    config: saeConfig({
      ...{ architecture: "batchtopk", d_in: 32, d_sae: 96, k: 2, hook_name: "h" },
      aux_coefficient: 0,
    }),
    init: null,
    rng: createRng("run"),
    pinNorms: false,
  };
  const run = { steps: 60, deadAfterTokens: 2000, lr: 0.03, decay: 0.2 };

  test("resampling brings dead latents back", async () => {
    const last: { dead_fraction: number; fvu: number }[] = [];
    for (const resampleAt of [[], [20, 40]]) {
      const trainer = await createSaeTrainer(source, [job], { ...run, resampleAt });
      while (trainer.taken < 55) await trainer.step();
      last.push((await trainer.step()).saes[0]);
    }
    expect(last[0].dead_fraction).toBeGreaterThan(0.3);
    expect(last[1].dead_fraction).toBeLessThan(0.7 * last[0].dead_fraction);
    expect(last[1].fvu).toBeLessThan(last[0].fvu);
  });

  test("a run resumed between two resamplings ends with the same bytes", async () => {
    const given = { ...run, resampleAt: [20, 40] };
    const whole = await createSaeTrainer(source, [job], given);
    while (whole.taken < 45) await whole.step();
    const first = await createSaeTrainer(source, [job], given);
    while (first.taken < 31) await first.step();
    const state = decodeSafetensors(encodeSafetensors(first.state())).tensors;
    const second = await createSaeTrainer(source, [job], { ...given, state });
    while (second.taken < 45) await second.step();
    expect(sha256(encodeSafetensors(second.state()))).toBe(
      sha256(encodeSafetensors(whole.state())),
    );
  });

  test("a continued SAE keeps its latents", async () => {
    const init = (await createSaeTrainer(source, [job], run)).saes().get("a") ?? null;
    const continued = { ...job, init };
    const hashes: string[] = [];
    for (const resampleAt of [[], [20]]) {
      const trainer = await createSaeTrainer(source, [continued], { ...run, resampleAt });
      while (trainer.taken < 25) await trainer.step();
      hashes.push(sha256(encodeSafetensors(trainer.state())));
    }
    expect(hashes[1]).toBe(hashes[0]);
  });
});
