import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import {
  activationScale,
  architectureNames,
  architectures,
  decode,
  encode,
  equaliseThresholds,
  fold,
  foldDecoderNorms,
  foldRescaling,
  type Sae,
  scaleFrame,
} from "../../sae/index.ts";
import { rowNorms } from "../../sae/kernels/row-norms.ts";
import { tf, useBackend } from "../../src/engine/index.ts";
import { testBackend } from "../support/backend.ts";
import { dense, draw, naiveEncode, randomSae } from "./support/random-sae.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const d_in = 6;
const d_sae = 15;
const rows = draw("rows", 50 * d_in);

function behaviour(sae: Sae, x: Float32Array = rows) {
  const tensor = tf.tensor2d(x, [x.length / d_in, d_in]);
  const codes = encode(sae, tensor);
  tensor.dispose();
  return { latents: [...codes.latent], f: dense(codes), xHat: decode(sae, codes) };
}

/** All but topk, whose latents are compared with one another. */
const foldable = architectureNames.filter((name) => architectures[name].selects !== "largest");

const factors = fc.array(fc.double({ min: 0.01, max: 100, noNaN: true }), {
  minLength: d_sae,
  maxLength: d_sae,
});

test("folding any scale per latent keeps the firing latents and the reconstruction, and scales the codes", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...foldable),
      factors,
      fc.integer(),
      (architecture, scales, seed) => {
        const sae = randomSae({ architecture, d_in, d_sae, k: 3 }, seed);
        const before = behaviour(sae);
        const after = behaviour(fold(sae, scales));
        expect(after.latents).toEqual(before.latents);
        expect(after.xHat).toBeAllclose(before.xHat, { rtol: 1e-4, atol: 1e-4 });
        expect(after.f).toBeAllclose(
          before.f.map((f, at) => f * scales[at % d_sae]),
          { rtol: 1e-4, atol: 1e-4 },
        );
      },
    ),
    // seeded: a pre-activation within rounding of its threshold may go either way
    { numRuns: 80, seed: 1 },
  );
});

/** An SAE's L0 and FVU on `rows`. */
function figures(sae: Sae): { l0: number; fvu: number } {
  const { latents, xHat } = behaviour(sae);
  const error = xHat.reduce((sum, x, i) => sum + (x - rows[i]) ** 2, 0);
  return { l0: latents.length / 50, fvu: error / rows.reduce((sum, x) => sum + x * x, 0) };
}

test.each(foldable)(
  "a %s SAE has the same L0 and the same reconstruction whether its latents are scaled by .1, 1 or 10 each",
  (architecture) => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(0.1, 1, 10), { minLength: d_sae, maxLength: d_sae }),
        fc.integer(),
        (scales, seed) => {
          const sae = randomSae({ architecture, d_in, d_sae, k: 3 }, seed);
          const folded = fold(sae, scales);
          expect(figures(folded).l0).toBe(figures(sae).l0);
          expect(figures(folded).fvu / figures(sae).fvu).toBeCloseTo(1, 5);
          expect(behaviour(folded).xHat).toBeAllclose(behaviour(sae).xHat, {
            rtol: 1e-4,
            atol: 1e-4,
          });
          const scaled = sae.threshold?.map((t, i) => t * scales[i]);
          if (scaled) expect(folded.threshold).toBeAllclose(scaled);
        },
      ),
      { numRuns: 10, seed: 2 },
    );
  },
);

test("thresholds left behind by a fold would be seen: other latents fire", () => {
  const sae = randomSae({ architecture: "jumprelu", d_in, d_sae, k: 3 });
  const scales = Float64Array.from({ length: d_sae }, (_, i) => [0.1, 1, 10][i % 3]);
  const left = { ...fold(sae, scales), threshold: sae.threshold };
  expect(figures(left).l0).not.toBe(figures(sae).l0);
});

test("folding decoder norms gives unit rows and the same SAE", () => {
  const sae = randomSae({ architecture: "batchtopk", d_in, d_sae, k: 3 });
  const folded = foldDecoderNorms(sae);
  expect(rowNorms(folded.W_dec, d_in)).toBeAllclose(new Float32Array(d_sae).fill(1));
  expect(behaviour(folded).latents).toEqual(behaviour(sae).latents);
  expect(behaviour(folded).xHat).toBeAllclose(behaviour(sae).xHat, { rtol: 1e-4, atol: 1e-5 });
});

test("a dead latent without a decoder row survives folding", () => {
  const sae = randomSae({ architecture: "batchtopk", d_in, d_sae, k: 3 });
  sae.W_dec.fill(0, 0, d_in);
  expect(behaviour(foldDecoderNorms(sae)).latents).toEqual(behaviour(sae).latents);
});

test("thresholds become one and the SAE stays the same", () => {
  const sae = randomSae({ architecture: "batchtopk", d_in, d_sae, k: 3 });
  const equal = equaliseThresholds(sae);
  expect(new Set(equal.threshold).size).toBe(1);
  expect(behaviour(equal).latents).toEqual(behaviour(sae).latents);
  expect(behaviour(equal).xHat).toBeAllclose(behaviour(sae).xHat, { rtol: 1e-4, atol: 1e-5 });
  expect(equaliseThresholds(equal)).toBe(equal);
});

test("a TopK SAE folds by a common factor and refuses unequal ones, which would change its selection", () => {
  const sae = randomSae({ architecture: "topk", d_in, d_sae, k: 3 });
  const twice = fold(sae, new Float32Array(d_sae).fill(2));
  expect(behaviour(twice).latents).toEqual(behaviour(sae).latents);
  expect(() => foldDecoderNorms(sae)).toThrow(/changes its selection/);
  expect(() => fold(sae, new Float32Array(d_sae))).toThrow(/not positive/);
});

test("an SAE taken into a scaled frame does there what it did, and comes back unchanged", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...architectureNames),
      fc.double({ min: 0.05, max: 20, noNaN: true }),
      fc.integer(),
      (architecture, s, seed) => {
        const sae = randomSae({ architecture, d_in, d_sae, k: 3 }, seed);
        const scaled = scaleFrame(sae, s);
        const before = behaviour(sae);
        const inside = behaviour(
          scaled,
          rows.map((x) => x * s),
        );
        expect(inside.latents).toEqual(before.latents);
        expect(inside.xHat.map((x) => x / s)).toBeAllclose(before.xHat, { rtol: 1e-4, atol: 1e-4 });
        const back = scaleFrame(scaled, 1 / s);
        expect(back.W_enc).toEqual(sae.W_enc);
        expect(back.b_enc).toBeAllclose(sae.b_enc, { rtol: 1e-6, atol: 1e-9 });
        expect(back.b_dec).toBeAllclose(sae.b_dec, { rtol: 1e-6, atol: 1e-9 });
        if (sae.threshold) expect(back.threshold).toBeAllclose(sae.threshold, { rtol: 1e-6 });
      },
    ),
    // seeded: a pre-activation within rounding of its threshold may go either way
    { numRuns: 80, seed: 1 },
  );
});

test("the scale makes the mean norm the root of the width", () => {
  expect(activationScale(Float32Array.of(3, 4, 0, 15), 2)).toBeCloseTo(Math.SQRT2 / 10, 12);
  expect(() => activationScale(new Float32Array(4), 2)).toThrow(/can't be scaled/);
});

test("a TopK SAE that selects by pre · ‖W_dec‖ is the one with its norms in the encoder", () => {
  const sae = randomSae({ architecture: "topk", d_in, d_sae, k: 3 });
  const norms = rowNorms(sae.W_dec, d_in);
  const folded = foldRescaling(sae);
  expect(rowNorms(folded.W_dec, d_in)).toBeAllclose(new Float32Array(d_sae).fill(1));
  const want = naiveEncode({ ...sae, cfg: { ...sae.cfg, k: d_sae } }, rows); // ReLU of every pre-activation
  const { f } = behaviour(folded);
  for (let t = 0; t < 50; t++) {
    const scaled = Array.from(norms, (norm, i) => want[t * d_sae + i] * norm);
    const kth = [...scaled].sort((a, b) => b - a)[2];
    const kept = scaled.map((value) => (value >= kth ? value : 0));
    expect(f.subarray(t * d_sae, (t + 1) * d_sae)).toBeAllclose(kept, { rtol: 1e-4, atol: 1e-4 });
  }
  expect(foldRescaling(folded)).toBe(folded);
});
