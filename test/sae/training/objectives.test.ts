// Each architecture's loss, written for clarity in f64 from its paper, against what a step of the plain loops and of the
// addon makes of it: the figure itself, and the gradient of every trained array by finite differences. Of SAEs and of
// transcoders with a skip connection, whose targets are of another width than what they read.
import { describe, expect, test } from "vitest";
import { architectures, type SaeArchitecture } from "../../../sae/architectures.ts";
import { initialiseSae } from "../../../sae/initialise.ts";
import { projectOutRows, rowNorms } from "../../../sae/kernels/row-norms.ts";
import { saeConfig } from "../../../sae/sae.ts";
import { nativeStepKernels } from "../../../sae/training/native-step.ts";
import { followTarget } from "../../../sae/training/objectives/l1-controller.ts";
import { type SaeTrainOptions, saeTrainDefaults } from "../../../sae/training/options.ts";
import { plainStepKernels } from "../../../sae/training/plain-step.ts";
import { prepareStep } from "../../../sae/training/step.ts";
import type { StepKernels } from "../../../sae/training/step-kernels.ts";
import {
  enterTraining,
  leaveTraining,
  saeArrayNames,
  type TrainingSae,
} from "../../../sae/training/training-sae.ts";
import { createRng, type SaeAddon, saeAddon } from "../../../src/engine/index.ts";
import { missingNative } from "../../support/native.ts";
import { testWith } from "../../support/require.ts";
import { draw } from "../support/random-sae.ts";

const [d, dOther, dSae, n] = [5, 4, 11, 17];
const rows = draw("objective rows", n * d);
const otherTargets = draw("objective targets", n * dOther);
type Kind = "an SAE" | "a skip transcoder";

function targetsOf({ cfg }: TrainingSae): Float32Array {
  return cfg.hook_name_out === null ? rows : otherTargets;
}
const base: SaeTrainOptions = {
  ...{ ...saeTrainDefaults, steps: 10, beta1: 0, beta2: 0, sparsityWarmup: 0 },
  ...{ l1Coefficient: 0.3, l0Coefficient: 0.2, bandwidth: 0.6 },
};

/** An SAE away from where it began, so that nothing is zero or symmetric by chance. */
function made(
  architecture: SaeArchitecture,
  options: SaeTrainOptions,
  kind: Kind = "an SAE",
): TrainingSae {
  const isTranscoder = kind !== "an SAE";
  const cfg = saeConfig({
    ...(isTranscoder && { d_out: dOther, hook_name_out: "other", skip_connection: true }),
    ...{ architecture, d_in: d, d_sae: dSae, hook_name: "hook_embed" },
    k: architectures[architecture].k === "none" ? null : 3,
    matryoshka_widths: architecture === "matryoshka_batchtopk" ? [2, 6, dSae] : null,
  });
  const fresh = initialiseSae(
    cfg,
    rows,
    createRng("objective"),
    isTranscoder ? otherTargets : rows,
  );
  if (isTranscoder) fresh.W_dec.set(draw("W_dec", dSae * dOther).map((w) => w / 2));
  fresh.W_skip?.set(draw("W_skip", dOther * d).map((w) => w / 4));
  fresh.b_enc.set(draw("b_enc", dSae).map((b) => b / 4));
  fresh.threshold?.set(draw("threshold", dSae).map((t) => 0.3 + Math.abs(t) / 4));
  fresh.gate?.r_mag.set(draw("r_mag", dSae).map((r) => r / 4));
  fresh.gate?.b_mag.set(draw("b_mag", dSae).map((b) => b / 4));
  if (architecture === "standard") fresh.threshold?.fill(0);
  return enterTraining(fresh, 1, true, options);
}

interface Look {
  readonly pre: number;
  readonly value: number;
}

/** Pre-activations and codes of every row by the architecture's own definition; what was selected may be held. */
function codesOf(sae: TrainingSae, held?: readonly boolean[][]): Look[][] {
  const { W_enc, b_enc, b_dec } = sae.weights;
  const pre = Array.from({ length: n }, (_, t) =>
    Array.from({ length: dSae }, (_, i) => {
      let sum = b_enc[i];
      const centre = sae.cfg.apply_b_dec_to_input ? b_dec : new Float32Array(d);
      for (let j = 0; j < d; j++) sum += W_enc[i * d + j] * (rows[t * d + j] - centre[j]);
      return sum;
    }),
  );
  const all = pre.flat().sort((a, b) => b - a);
  return pre.map((row, t) =>
    row.map((p, i) => {
      const { architecture, k } = sae.cfg;
      if (architecture === "gated") {
        const mag = Math.exp(sae.own.r_mag.weights[i]) * p + sae.own.c_mag.weights[i];
        return { pre: p, value: p > 0 ? Math.max(0, mag) : 0 };
      }
      const limit =
        architecture === "jumprelu"
          ? sae.own.threshold.weights[i]
          : architecture === "standard"
            ? 0
            : architecture === "topk"
              ? [...row].sort((a, b) => b - a)[k as number]
              : all[(k as number) * n];
      const isKept = held ? held[t][i] : p > Math.max(0, limit);
      return { pre: p, value: isKept ? p : 0 };
    }),
  );
}

/** mean ‖y − b_dec − W_skip x − Σ_{i < width} v_i W_dec[i]‖², y = x of an SAE. */
function squares(
  sae: TrainingSae,
  values: readonly (readonly number[])[],
  width: number = dSae,
  W_dec: Float32Array = sae.weights.W_dec,
  b_dec: Float32Array = sae.weights.b_dec,
  W_skip: Float32Array | undefined = sae.own.W_skip?.weights,
): number {
  const targets = targetsOf(sae);
  const { d_out } = sae.cfg;
  let total = 0;
  for (let t = 0; t < n; t++) {
    for (let j = 0; j < d_out; j++) {
      let r = targets[t * d_out + j] - b_dec[j];
      if (W_skip) for (let i = 0; i < d; i++) r -= W_skip[j * d + i] * rows[t * d + i];
      for (let i = 0; i < width; i++) r -= values[t][i] * W_dec[i * d_out + j];
      total += r * r;
    }
  }
  return total / n;
}

/** The loss of a batch; `frozen` is the decoder that a gated SAE's last term keeps where it is not trained there. */
function naiveLoss(
  sae: TrainingSae,
  options: SaeTrainOptions,
  held: readonly boolean[][],
  frozen: {
    readonly W_dec: Float32Array;
    readonly b_dec: Float32Array;
    readonly W_skip?: Float32Array;
  },
): number {
  const { sparsityMode, targetL0, l0Coefficient, tanhScale, partWidths } = options;
  const looks = codesOf(sae, held);
  const values = looks.map((row) => row.map(({ value }) => value));
  const whole = squares(sae, values);
  const norms = sae.cfg.hook_name_out === null ? sae.norms : rowNorms(sae.weights.W_dec, dOther);
  const mean = (of: (look: Look, i: number) => number): number =>
    looks.reduce((sum, row) => sum + row.reduce((s, look, i) => s + of(look, i), 0), 0) / n;
  switch (sae.cfg.architecture) {
    case "standard":
      return (
        whole +
        sae.lambda *
          mean(({ value }, i) => value * (partWidths ? rowNorm(sae, i, partWidths) : norms[i]))
      );
    case "gated": {
      const open = looks.map((row) => row.map(({ pre }) => Math.max(0, pre)));
      const last = options.gateTrainsDecoder
        ? squares(sae, open)
        : squares(sae, open, dSae, frozen.W_dec, frozen.b_dec, frozen.W_skip);
      return whole + sae.lambda * mean(({ pre }, i) => Math.max(0, pre) * norms[i]) + last;
    }
    case "matryoshka_batchtopk":
      return whole + squares(sae, values, 2) + squares(sae, values, 6);
    case "jumprelu": {
      const lambda = l0Coefficient * sae.cfg.d_out;
      if (sparsityMode === "tanh")
        return whole + lambda * mean(({ value }, i) => Math.tanh(tanhScale * value * norms[i]));
      const l0 = mean(({ value }) => (value > 0 ? 1 : 0));
      return whole + lambda * (targetL0 === null ? l0 : (l0 / targetL0 - 1) ** 2);
    }
    default:
      return whole;
  }
}

/** Σ_s ‖W_dec[i, part s]‖. */
function rowNorm(
  { weights: { W_dec } }: TrainingSae,
  i: number,
  widths: readonly number[],
): number {
  const ends = widths.map((_, s) => widths.slice(0, s + 1).reduce((sum, width) => sum + width, 0));
  const parts = ends.map((end, s) => W_dec.subarray(i * d + end - widths[s], i * d + end));
  return parts.reduce((sum, part) => sum + Math.hypot(...part), 0);
}

const missing = await missingNative();
type Tester = (title: string, body: () => Promise<void>) => void;
const makers: readonly [string, (dOut: number) => StepKernels, Tester][] = [
  ["plain loops", (dOut) => plainStepKernels(d, dSae, dOut), test],
  ["the addon", () => nativeStepKernels(saeAddon() as SaeAddon), testWith("native", missing)],
];
const cases: readonly [string, SaeArchitecture, Partial<SaeTrainOptions>][] = [
  ["ReLU with a norm-weighted L1", "standard", {}],
  ["ReLU with an L1 by the norms of two parts", "standard", { partWidths: [2, 3] }],
  ["Gated, all terms train the decoder", "gated", {}],
  ["Gated, its decoder frozen in the last term", "gated", { gateTrainsDecoder: false }],
  ["TopK", "topk", {}],
  ["BatchTopK", "batchtopk", {}],
  ["Matryoshka BatchTopK", "matryoshka_batchtopk", {}],
  ["JumpReLU with an L0 penalty", "jumprelu", {}],
  ["JumpReLU with a target L0", "jumprelu", { targetL0: 2 }],
  ["JumpReLU with a tanh penalty", "jumprelu", { sparsityMode: "tanh" }],
];

for (const [where, make, it] of makers) {
  describe(where, () => {
    const kinds: readonly Kind[] = ["an SAE", "a skip transcoder"];
    for (const [title, architecture, given, kind] of cases.flatMap(([title, of, given]) =>
      // the parts are those of d_in
      kinds.slice(0, given.partWidths ? 1 : 2).map((kind) => [title, of, given, kind] as const),
    )) {
      it(`${title}, ${kind}: the loss and its gradients are the paper's`, async () => {
        const options = { ...base, ...given };
        const sae = made(architecture, options, kind);
        const targets = targetsOf(sae);
        const held = codesOf(sae).map((row) => row.map(({ value }) => value > 0));
        const frozen = {
          W_dec: sae.weights.W_dec.slice(),
          b_dec: sae.weights.b_dec.slice(),
          W_skip: sae.own.W_skip?.weights.slice(),
        };
        const loss = (): number => naiveLoss(sae, options, held, frozen);
        const expected = loss();
        const arrays: [string, Float32Array][] = saeArrayNames.map((name) => [
          name,
          sae.weights[name],
        ]);
        for (const [name, { weights }] of Object.entries(sae.own)) {
          if (name !== "threshold") arrays.push([name, weights]);
        }
        const want = new Map(arrays.map(([name, array]) => [name, differences(array, loss)]));
        if (kind === "an SAE") projectOutRows(want.get("W_dec") as Float32Array, frozen.W_dec, d);
        const kernels = make(sae.cfg.d_out);
        const step = await prepareStep(sae, rows, 1, options, kernels, 0, targets);
        expect(step.figures.loss).toBeCloseTo(expected, 3);
        step.apply(1, 0);
        for (const [name, gradient] of want) {
          const got = name in sae.own ? sae.own[name].m : sae.m[name as "W_enc"];
          expect(got, name).toBeAllclose(gradient, { rtol: 2e-2, atol: 5e-3 });
          expect(Math.max(...gradient.map(Math.abs)), name).toBeGreaterThan(0.02);
        }
      });
    }

    for (const [title, , given] of cases.filter(([, of]) => of === "jumprelu")) {
      it(`${title}: a threshold's gradient is what the window around it says`, async () => {
        const options = { ...base, ...given };
        const sae = made("jumprelu", options);
        const want = naiveThresholdGradient(sae, options);
        const step = await prepareStep(sae, rows, 1, options, make(d));
        step.apply(1, 0);
        expect(sae.own.threshold.m).toBeAllclose(want, { rtol: 1e-3, atol: 1e-4 });
        expect(want.filter((g) => g !== 0).length).toBeGreaterThan(dSae / 2);
      });
    }
  });
}

/** Central differences of `loss` by each number of an array, with the steps that f32 can take. */
function differences(array: Float32Array, loss: () => number): Float32Array {
  const h = 1e-3;
  return Float32Array.from(array, (kept, at) => {
    array[at] = kept + h;
    const [up, above] = [loss(), array[at]];
    array[at] = kept - h;
    const [down, below] = [loss(), array[at]];
    array[at] = kept;
    return (up - down) / (above - below);
  });
}

/** Σ over the window of −(θ ∂loss/∂f + ∂penalty/∂L0 / n) / ε, ∂loss/∂f of the reconstruction and of a soft count. */
function naiveThresholdGradient(sae: TrainingSae, options: SaeTrainOptions): Float32Array {
  const { bandwidth, targetL0, l0Coefficient, sparsityMode, tanhScale } = options;
  const looks = codesOf(sae);
  const theta = sae.own.threshold.weights;
  const { W_dec, b_dec } = sae.weights;
  const lambda = l0Coefficient * d;
  const l0 = looks.flat().filter(({ value }) => value > 0).length / n;
  const isSoft = sparsityMode === "tanh";
  const byL0 = targetL0 === null ? lambda : (2 * lambda * (l0 / targetL0 - 1)) / targetL0;
  const out = new Float32Array(dSae);
  looks.forEach((row, t) => {
    const r = Array.from({ length: d }, (_, j) =>
      row.reduce((sum, { value }, i) => sum - value * W_dec[i * d + j], rows[t * d + j] - b_dec[j]),
    );
    row.forEach(({ pre, value }, i) => {
      if (Math.abs(pre - theta[i]) >= bandwidth / 2 || pre <= 0) return;
      const soft = tanhScale * sae.norms[i];
      let byValue = (-2 / n) * r.reduce((sum, x, j) => sum + x * W_dec[i * d + j], 0);
      if (isSoft) byValue += (lambda / n) * soft * (1 - Math.tanh(soft * value) ** 2);
      out[i] -= (theta[i] * byValue + (isSoft ? 0 : byL0 / n)) / bandwidth;
    });
  });
  return out;
}

test("the coefficient of an L1 penalty rises while too many latents fire and falls while too few do", () => {
  const sae = made("standard", base);
  const options = { targetL0: 10, l1Rate: 0.1, steps: 20, sparsityWarmup: 0.1 };
  followTarget(sae, 20, 2, options); // the penalty has its weight only after this step
  expect(sae.lambda).toBeCloseTo(0.3, 12);
  followTarget(sae, 20, 3, options);
  expect(sae.lambda).toBeCloseTo(0.3 * Math.exp(0.1), 12);
  followTarget(sae, 100, 4, options); // no faster than for twice as many
  expect(sae.lambda).toBeCloseTo(0.3 * Math.exp(0.2), 12);
  followTarget(sae, 5, 5, options);
  expect(sae.lambda).toBeCloseTo(0.3 * Math.exp(0.15), 12);
  followTarget(sae, 5, 6, { ...options, targetL0: null });
  expect(sae.lambda).toBeCloseTo(0.3 * Math.exp(0.15), 12);
  followTarget(sae, 100, 7, { ...options, l1Rate: null, steps: 12 }); // a short run moves it faster
  expect(sae.lambda).toBeCloseTo(0.3 * Math.exp(0.65), 12);
});

test("an SAE that enters training and leaves it again is the same, in any frame", () => {
  for (const architecture of ["standard", "gated", "jumprelu", "matryoshka_batchtopk"] as const) {
    for (const [kind, target] of [
      ["an SAE", 3],
      ["a skip transcoder", 0.7],
    ] as const) {
      const scale = { input: 3, target };
      const sae = leaveTraining(made(architecture, base, kind), 1);
      const again = leaveTraining(enterTraining(sae, scale, true), scale);
      for (const [name, array] of Object.entries({ ...sae, ...sae.gate })) {
        if (!(array instanceof Float32Array)) continue;
        const got = { ...again, ...again.gate }[name as "W_enc"];
        const what = `${architecture}, ${kind}: ${name}`;
        expect(got, what).toBeAllclose(array, { rtol: 1e-5, atol: 1e-6 });
      }
    }
  }
});
