import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import {
  architectureNames,
  decode,
  encode,
  encodeAsync,
  type Sae,
  saeConfig,
} from "../../sae/index.ts";
import { tf, useBackend } from "../../src/engine/index.ts";
import { testBackend } from "../support/backend.ts";
import { dense, draw, naiveDecode, naiveEncode, randomSae } from "./support/random-sae.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

// d_in = 1, W_enc = [1, 2, −1], b_enc = [0, −1, 0], b_dec = 1: x = 3 gives pre-activations 2, 3, −2.
const hand: Sae = {
  cfg: saeConfig({ architecture: "topk", d_in: 1, d_sae: 3, k: 1, hook_name: "hook_embed" }),
  W_enc: Float32Array.of(1, 2, -1),
  b_enc: Float32Array.of(0, -1, 0),
  W_dec: Float32Array.of(1, 0.5, 4),
  b_dec: Float32Array.of(1),
  threshold: null,
};

test("TopK keeps the largest pre-activation and decodes it with b_dec", () => {
  const x = tf.tensor2d([3], [1, 1]);
  const codes = encode(hand, x);
  expect([...codes.latent]).toEqual([1]);
  expect([...codes.value]).toEqual([3]);
  expect([...decode(hand, codes)]).toEqual([2.5]);
  x.dispose();
});

test("a threshold of exactly the pre-activation silences its latent", () => {
  const x = tf.tensor2d([3], [1, 1]);
  const cfg = saeConfig({ ...hand.cfg, architecture: "batchtopk" });
  const codes = encode({ ...hand, cfg, threshold: Float32Array.of(1.5, 3, -9) }, x);
  expect([...codes.latent]).toEqual([0]);
  x.dispose();
});

test("codes and reconstructions equal an f64 reference at any size, and no tensor is left behind", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...architectureNames),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 11 }),
      fc.integer({ min: 0, max: 6 }),
      fc.integer(),
      (architecture, d_in, d_sae, n, seed) => {
        const k = 1 + (Math.abs(seed) % d_sae);
        const sae = randomSae({ architecture, d_in, d_sae, k }, seed);
        const rows = draw(`${seed} x`, n * d_in);
        const before = tf.memory().numTensors;
        const x = tf.tensor2d(rows, [n, d_in]);
        const codes = encode(sae, x);
        x.dispose();
        expect(tf.memory().numTensors).toBe(before);
        const want = naiveEncode(sae, rows);
        expect(dense(codes)).toBeAllclose(want, { rtol: 1e-4, atol: 1e-4 });
        expect(decode(sae, codes)).toBeAllclose(naiveDecode(sae, want), { rtol: 1e-3, atol: 1e-3 });
      },
    ),
    // seeded: a pre-activation within rounding of its threshold may go either way
    { seed: 1 },
  );
});

test("encoding asynchronously gives the same codes", async () => {
  const sae = randomSae({ architecture: "batchtopk", d_in: 4, d_sae: 6, k: 2 });
  const x = tf.tensor2d(draw("x", 40), [10, 4]);
  expect(await encodeAsync(sae, x)).toEqual(encode(sae, x));
  x.dispose();
});

test("activations of another width are refused", () => {
  const x = tf.zeros<tf.Rank.R2>([2, 3]);
  expect(() => encode(hand, x)).toThrow(/width 1, got 3/);
  x.dispose();
});

// W_enc = [1, 1, 1], b_enc = [0, −1, 1], b_dec = 0: x = 2 opens the gates π = 2, 1, 3; with r_mag = [0, ln 2, 0] and
// b_mag = [−1, 0.5, −9] the magnitudes are 2 − 1, 2·2 + .5 and 2 − 9.
test("a gated SAE fires where its gate is open and its magnitude positive, with the magnitude as value", () => {
  const cfg = saeConfig({ architecture: "gated", d_in: 1, d_sae: 3, hook_name: "hook_embed" });
  const sae: Sae = {
    cfg,
    W_enc: Float32Array.of(1, 1, 1),
    b_enc: Float32Array.of(0, -1, 1),
    W_dec: Float32Array.of(1, 1, 1),
    b_dec: Float32Array.of(0),
    threshold: null,
    gate: { r_mag: Float32Array.of(0, Math.LN2, 0), b_mag: Float32Array.of(-1, 0.5, -9) },
  };
  const codesAt = (at: number): [number, number][] => {
    const x = tf.tensor2d([at], [1, 1]);
    const { latent, value } = encode(sae, x);
    x.dispose();
    return [...latent].map((i, p) => [i, value[p]]);
  };
  expect(codesAt(2)).toEqual([
    [0, 1],
    [1, expect.closeTo(4.5, 6)],
  ]);
  expect(codesAt(0.5)).toEqual([]); // gate 0 is open, but .5 − 1 < 0; gate 1 is shut
});

test("an SAE that reads x itself leaves b_dec out of its encoder", () => {
  const cfg = { ...hand.cfg, architecture: "standard" as const, k: null };
  const x = tf.tensor2d([3], [1, 1]);
  const threshold = new Float32Array(3);
  const centred = encode({ ...hand, cfg, threshold }, x);
  const raw = encode({ ...hand, cfg: { ...cfg, apply_b_dec_to_input: false }, threshold }, x);
  expect([...centred.value]).toEqual([2, 3]);
  expect([...raw.value]).toEqual([3, 5]);
  x.dispose();
});
