// A training step by the addon against the plain loops, which are its specification: selection, figures and
// every array after several steps, at odd sizes and with what is special (ties, NaN, no codes, a wrong guess).
import { createHash } from "node:crypto";
import { afterAll, expect } from "vitest";
import {
  architectureNames,
  architectures,
  type SaeArchitecture,
} from "../../../sae/architectures.ts";
import { initialiseSae } from "../../../sae/initialise.ts";
import { saeConfig } from "../../../sae/sae.ts";
import { nativeStepKernels } from "../../../sae/training/native-step.ts";
import { objectives } from "../../../sae/training/objectives/index.ts";
import { type SaeTrainOptions, saeTrainDefaults } from "../../../sae/training/options.ts";
import { plainStepKernels } from "../../../sae/training/plain-step.ts";
import { prepareStep } from "../../../sae/training/step.ts";
import type { SelectionRule, StepKernels } from "../../../sae/training/step-kernels.ts";
import {
  enterTraining,
  saeArrayNames,
  type TrainingSae,
} from "../../../sae/training/training-sae.ts";
import { createRng, type SaeAddon, saeAddon, useBackend } from "../../../src/engine/index.ts";
import { residentGrowth } from "../../support/held-memory.ts";
import { missingNative } from "../../support/native.ts";
import { testWith } from "../../support/require.ts";
import { draw } from "../support/random-sae.ts";

const native = testWith("native", await missingNative());
const addon = saeAddon() as SaeAddon;
const options: SaeTrainOptions = {
  ...{ ...saeTrainDefaults, steps: 10, deadAfterTokens: 50, kAux: 3 },
  ...{ sparsityWarmup: 0, targetL0: 2, l1Coefficient: 0.3 },
};

afterAll(async () => {
  await useBackend("wasm");
});

function fresh(
  architecture: SaeArchitecture,
  d_in: number,
  d_sae: number,
  k: number,
  rows: Float32Array,
  targets: Float32Array = rows,
): TrainingSae {
  const d_out = (targets.length / rows.length) * d_in;
  const cfg = saeConfig({
    ...{ architecture, d_in, d_sae, hook_name: "hook_embed" },
    ...(targets !== rows && { d_out, hook_name_out: "other", skip_connection: true }),
    k: architectures[architecture].k === "none" ? null : k,
    matryoshka_widths:
      architecture === "matryoshka_batchtopk"
        ? [...new Set([Math.ceil(d_sae / 5), Math.ceil(d_sae / 2), d_sae])]
        : null,
  });
  const sae = initialiseSae(cfg, rows, createRng(5), targets);
  if (targets !== rows) sae.W_dec.set(draw("W_dec", d_sae * d_out));
  if (architecture === "jumprelu") sae.threshold?.fill(0.4);
  return enterTraining(sae, 1, true, options);
}

function codesOf({ codes }: StepKernels, d_sae: number) {
  return codes.toCodes(d_sae);
}

const cases: readonly [SaeArchitecture, boolean][] = [
  ...architectureNames.map((name): [SaeArchitecture, boolean] => [name, false]),
  ["standard", true],
];
for (const [architecture, inParts] of cases) {
  for (const [d_in, d_sae, k, n, d_out] of [
    [1, 1, 1, 1],
    [5, 7, 2, 3],
    [33, 150, 9, 70],
    [48, 301, 7, 333],
    [16, 40, 40, 65],
    [33, 150, 9, 70, 17],
    [8, 41, 4, 33, 40],
  ]) {
    if (inParts && d_out !== undefined) continue;
    const named = inParts ? `${architecture} in parts` : architecture;
    const what = d_out === undefined ? "" : ` → ${d_out}`;
    native(`${named}: three steps, ${d_in}${what} × ${d_sae}, k ${k}, ${n} rows`, async () => {
      const half = Math.floor(d_in / 2);
      const of = inParts ? { ...options, partWidths: [half, d_in - half] } : options;
      const rows = draw(`rows ${n}`, n * d_in);
      const targets = d_out === undefined ? rows : draw(`targets ${n}`, n * d_out);
      const [ours, plain] = [0, 1].map(() => fresh(architecture, d_in, d_sae, k, rows, targets));
      const [oursBy, plainBy] = [nativeStepKernels(addon), plainStepKernels(d_in, d_sae, d_out)];
      for (let step = 1; step <= 3; step++) {
        const got = await prepareStep(ours, rows, 1, of, oursBy, 0, targets);
        const want = await prepareStep(plain, rows, 1, of, plainBy, 0, targets);
        const [codes, wanted] = [codesOf(oursBy, d_sae), codesOf(plainBy, d_sae)];
        expect(codes.rowStart).toEqual(wanted.rowStart);
        expect(codes.latent).toEqual(wanted.latent);
        expect(codes.value).toBeAllclose(wanted.value, { rtol: 1e-4, atol: 1e-5 });
        for (const [key, value] of Object.entries(want.figures)) {
          const ratio = { rtol: 1e-6, atol: 5e-4 };
          expect([got.figures[key as keyof typeof want.figures]]).toBeAllclose([value], ratio);
        }
        expect(ours.threshold).toBeCloseTo(plain.threshold, 5);
        got.apply(step, 1e-3);
        want.apply(step, 1e-3);
        for (const group of ["weights", "m", "v"] as const) {
          for (const name of saeArrayNames) {
            const tolerance = { rtol: 1e-3, atol: group === "weights" ? 2e-4 : 1e-5 };
            expect(ours[group][name]).toBeAllclose(plain[group][name], tolerance);
          }
          for (const name of Object.keys(plain.own)) {
            expect(ours.own[name][group]).toBeAllclose(plain.own[name][group], {
              ...{ rtol: 1e-3, atol: 2e-4 },
            });
          }
        }
      }
    });
  }
}

function ruleOf(sae: TrainingSae, n: number): SelectionRule {
  return objectives[sae.cfg.architecture].rule({ sae, n, step: 1, options });
}

/** Selects with biases alone (weights and rows are zero), so that every row has the same pre-activations. */
async function selectBiases(
  architecture: SaeArchitecture,
  k: number,
  biases: readonly number[],
  n: number,
): Promise<{ rows: number[][]; least: number }[]> {
  const rows = new Float32Array(n * 2);
  const sae = fresh(architecture, 2, biases.length, k, draw("any", 2 * n));
  for (const name of saeArrayNames) sae.weights[name].fill(0);
  sae.weights.b_enc.set(biases);
  const results = [];
  for (const kernels of [nativeStepKernels(addon), plainStepKernels(2, biases.length)]) {
    const rule = ruleOf(sae, n);
    const least = await kernels.select(sae, rows, rule, null);
    const { rowStart, latent } = codesOf(kernels, biases.length);
    const byRow = Array.from({ length: n }, (_, t) => [
      ...latent.subarray(rowStart[t], rowStart[t + 1]),
    ]);
    results.push({ rows: byRow, least });
  }
  return results;
}

native("of equal values the lower latent wins in a row, the lower row in a batch", async () => {
  const biases = [1, 3, 2, 3, 2, 2];
  for (const { rows } of await selectBiases("topk", 4, biases, 2)) {
    expect(rows).toEqual([
      [1, 2, 3, 4],
      [1, 2, 3, 4],
    ]);
  }
  for (const { rows, least } of await selectBiases("batchtopk", 2.5, biases, 2)) {
    expect(rows).toEqual([
      [1, 2, 3],
      [1, 3],
    ]);
    expect(least).toBe(2);
  }
});

native("ties that come after a list was cut are lost to the earlier ones", async () => {
  // 300 equal values overflow a row's list of candidates several times
  const [got, want] = await selectBiases("topk", 3, new Array(300).fill(1), 2);
  expect(got).toEqual(want);
  expect(got.rows[1]).toEqual([0, 1, 2]);
});

native("only positive values are kept, and NaN never", async () => {
  const biases = [Number.NaN, -1, 0, 2, Number.NaN, Number.POSITIVE_INFINITY];
  for (const { rows } of await selectBiases("topk", 5, biases, 1)) expect(rows).toEqual([[3, 5]]);
  for (const { rows, least } of await selectBiases("batchtopk", 5, biases, 3)) {
    expect(rows).toEqual([
      [3, 5],
      [3, 5],
      [3, 5],
    ]);
    expect(least).toBe(2);
  }
  for (const { rows, least } of await selectBiases("batchtopk", 1, [-1, -2], 2)) {
    expect(rows).toEqual([[], []]);
    expect(least).toBe(0);
  }
});

native("a guess that is far too high costs time only", async () => {
  const rows = draw("guess", 40 * 12);
  const sae = fresh("batchtopk", 12, 50, 4, rows);
  const [kernels, plain] = [nativeStepKernels(addon), plainStepKernels(12, 50)];
  for (const threshold of [1e6, 0.5, 0]) {
    sae.threshold = threshold;
    const rule = ruleOf(sae, 40);
    const least = await kernels.select(sae, rows, rule, null);
    expect(least).toBeCloseTo(await plain.select(sae, rows, rule, null), 4);
    expect(codesOf(kernels, 50).latent).toEqual(codesOf(plain, 50).latent);
  }
});

native(
  "a NaN among the activations makes the loss NaN and stops before any weight is written",
  async () => {
    const rows = draw("nan", 9 * 4);
    rows[5] = Number.NaN;
    const sae = fresh("topk", 4, 8, 2, draw("fine", 9 * 4));
    const before = sae.weights.W_dec.slice();
    const { figures } = await prepareStep(sae, rows, 1, options, nativeStepKernels(addon));
    expect(figures.loss).toBeNaN();
    expect(sae.weights.W_dec).toEqual(before);
  },
);

/** A digest of every array after some steps at a size that fills several blocks of rows. */
async function bitsAfter(threads: number, architecture: SaeArchitecture): Promise<string> {
  await useBackend("native", { threads });
  const [d_in, d_sae, n] = [64, 700, 1500];
  const rows = draw("bits", n * d_in);
  const sae = fresh(architecture, d_in, d_sae, 8, rows);
  const kernels = nativeStepKernels(addon);
  for (let step = 1; step <= 3; step++) {
    (await prepareStep(sae, rows, 1, options, kernels)).apply(step, 1e-3);
  }
  const hash = createHash("sha256");
  for (const group of [sae.weights, sae.m, sae.v]) {
    for (const name of saeArrayNames) hash.update(group[name]);
  }
  return hash.digest("hex");
}

native("the same bits again, and with another number of threads", async () => {
  for (const architecture of ["topk", "batchtopk"] as const) {
    const once = await bitsAfter(2, architecture);
    expect(await bitsAfter(2, architecture)).toBe(once);
    expect(await bitsAfter(1, architecture)).toBe(once);
  }
});

native("resident memory stays flat over hundreds of steps", async () => {
  await useBackend("native");
  const [d_in, d_sae, n] = [64, 1024, 1024];
  const rows = draw("flat", n * d_in);
  const sae = fresh("batchtopk", d_in, d_sae, 16, rows);
  const kernels = nativeStepKernels(addon);
  let made = 0;
  const step = async (): Promise<void> => {
    (await prepareStep(sae, rows, 1, options, kernels)).apply(++made, 1e-4);
  };
  for (let i = 0; i < 50; i++) await step();
  // MiB; an array of the batch's size kept from each step would come to 50
  expect(await residentGrowth(200, step, 15)).toBeLessThan(15);
});
