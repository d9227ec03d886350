// Where a fresh JumpReLU's thresholds begin: by hand on one latent's values, and by the L0 of a first batch.
import { beforeAll, describe, expect, test } from "vitest";
import { encode, initialiseSae, rowActivations, type Sae, saeConfig } from "../../../sae/index.ts";
import { firstThreshold } from "../../../sae/training/first-threshold.ts";
import { createSaeTrainer } from "../../../sae/training/trainer.ts";
import { createRng, tf, useBackend } from "../../../src/engine/index.ts";
import { testBackend } from "../../support/backend.ts";
import { draw } from "../support/random-sae.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const config = (d_in: number, d_sae: number) =>
  saeConfig({ architecture: "jumprelu", d_in, d_sae, k: null, hook_name: "h" });

/** One latent that reads the only coordinate, and one that reads its negative. */
const pair: Sae = {
  cfg: { ...config(1, 2), apply_b_dec_to_input: false },
  ...{ W_enc: Float32Array.of(1, -1), b_enc: new Float32Array(2) },
  ...{ W_dec: Float32Array.of(1, -1), b_dec: new Float32Array(1) },
  threshold: new Float32Array(2),
};

test("by hand: the quantile at which twice the target fire on a row", async () => {
  // values ±1 to ±5: a share of 2 · 0.3 / 2 of the ten, three, is above the quantile at .7 · 9 = 6.3 of their order
  const got = await firstThreshold(pair, Float32Array.of(1, 2, 3, 4, 5), 7, {
    ...{ initThreshold: null, targetL0: 0.3 },
  });
  expect(got).toBeCloseTo(2 + 0.3, 6);
});

test("a given threshold is one of the scaled frame, as is the one without a target", async () => {
  const rows = Float32Array.of(1, 2);
  const of = (initThreshold: number | null, targetL0: number | null) =>
    firstThreshold(pair, rows, 4, { initThreshold, targetL0 });
  expect(await of(3, 1)).toBe(0.75);
  expect(await of(null, null)).toBe(0.25);
});

test("a target of half the latents or more leaves half of them above it, and none below zero", async () => {
  const of = (targetL0: number) =>
    firstThreshold(pair, Float32Array.of(1, 2, 3), 1, { initThreshold: null, targetL0 });
  expect(await of(2)).toBe(0); // the median of ±1, ±2, ±3
  const below: Sae = { ...pair, b_enc: Float32Array.of(-9, -9) };
  const got = await firstThreshold(below, Float32Array.of(1), 1, {
    ...{ initThreshold: null, targetL0: 1 },
  });
  expect(got).toBe(0);
});

describe("in training", () => {
  const [d, dSae, k, n] = [9, 37, 3, 500];
  const rows = draw("first threshold", n * d).map((value, i) => value * (1 + (i % d)));

  test.each(["expected_average_only_in", "none"] as const)(
    "the first batch has twice the target's L0, frame %s",
    async (normalize) => {
      const job = {
        ...{ name: "a", config: config(d, dSae), init: null, rng: createRng("a"), pinNorms: false },
      };
      const options = { steps: 9, targetL0: k, normalize };
      const trainer = await createSaeTrainer(rowActivations(rows, d, n), [job], options);
      const start = trainer.saes().get("a") as Sae;
      expect(new Set(start.threshold).size).toBe(1);
      const x = tf.tensor2d(rows, [n, d]);
      const l0 = encode(start, x).latent.length / n;
      x.dispose();
      expect(Math.abs(l0 - 2 * k)).toBeLessThan(0.02);
      const { saes } = await trainer.step();
      expect(Math.abs(saes[0].l0 - 2 * k)).toBeLessThan(0.02);
    },
  );

  test("of a large dictionary a part of the batch decides, nearly as the whole does", async () => {
    const [wide, many] = [8192, 4 * (2 ** 20 / 8192)];
    const sae = initialiseSae(config(d, wide), rows, createRng("wide"));
    const sample = draw("large", many * d);
    const threshold = await firstThreshold(sae, sample, 1, {
      ...{ initThreshold: null, targetL0: 40 },
    });
    const fire = { ...sae, threshold: new Float32Array(wide).fill(threshold) };
    const x = tf.tensor2d(sample, [many, d]);
    const l0 = encode(fire, x).latent.length / many;
    x.dispose();
    expect(l0).toBeGreaterThan(70);
    expect(l0).toBeLessThan(90);
  });
});
