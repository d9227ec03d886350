import { beforeAll, describe, expect, test } from "vitest";
import {
  carrySae,
  createSaeTrainer,
  encode,
  growSae,
  normaliseRows,
  type RuntimeNorm,
  reconstruct,
  restoreRows,
  rowScales,
  type Sae,
  type SaeJob,
  saeConfig,
  withoutNorm,
} from "../../sae/index.ts";
import { createRng, tf, useBackend } from "../../src/engine/index.ts";
import {
  type ExpandOptions,
  hookEntry,
  mapVectors,
  planExpansion,
} from "../../src/expansion/index.ts";
import { gpt2Config } from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { dense, naiveDecode, naiveEncode, randomSae } from "./support/random-sae.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const norms = ["constant_norm_rescale", "layer_norm"] as const;

const withNorm = (sae: Sae, normalize_activations: RuntimeNorm): Sae => ({
  ...sae,
  cfg: { ...sae.cfg, normalize_activations },
});

/** Rows whose norms and means differ much. */
function unevenRows(n: number, d: number): Float32Array {
  const rng = createRng("uneven");
  const x = new Float32Array(n * d);
  for (let row = 0; row < n; row++) {
    const [scale, shift] = [Math.exp(rng.normal()), rng.normal()];
    for (let j = 0; j < d; j++) x[row * d + j] = 5 * scale * (rng.normal() + shift);
  }
  return x;
}

test("a row gets the norm √d, or mean 0 and deviation 1, and the way back is σ and μ", () => {
  const x = Float32Array.of(3, 4, 0, 0);
  const byNorm = normaliseRows("constant_norm_rescale", x, 2);
  const unit = Math.SQRT2 / 5;
  expect(byNorm.rows).toBeAllclose([3 * unit, 4 * unit, 0, 0], { rtol: 1e-6, atol: 0 });
  expect(byNorm.scale).toBeAllclose([5 / Math.SQRT2, 0], { rtol: 1e-12, atol: 0 });
  expect([...byNorm.shift]).toEqual([0, 0]);

  const byDeviation = normaliseRows("layer_norm", Float32Array.of(1, 3, 2, 2), 2);
  const z = 1 / (Math.SQRT2 + 1e-5);
  expect(byDeviation.rows).toBeAllclose([-z, z, 0, 0], { rtol: 1e-6, atol: 0 });
  expect(byDeviation.scale).toBeAllclose([Math.SQRT2, 0], { rtol: 1e-12, atol: 0 });
  expect([...byDeviation.shift]).toEqual([2, 2]);
  expect([...normaliseRows("none", x, 2).rows]).toEqual([...x]);
});

test.each(norms)("%s: restoring normalised rows gives the rows", (norm) => {
  const x = unevenRows(20, 7);
  const normalised = normaliseRows(norm, x, 7);
  const back = normalised.rows.slice();
  restoreRows(back, normalised);
  expect(back).toBeAllclose(x, { rtol: 1e-4, atol: 1e-4 });
});

test.each(norms)(
  "%s: codes are those of the normalised rows, reconstructions are given σ and μ",
  async (norm) => {
    const sae = withNorm(randomSae({ architecture: "batchtopk", d_in: 7, d_sae: 20, k: 4 }), norm);
    const x = unevenRows(30, 7);
    const { rows, scale, shift } = normaliseRows(norm, x, 7);
    const f = naiveEncode(sae, rows);
    const expected = naiveDecode(sae, f).map(
      (v, at) => v * scale[Math.floor(at / 7)] + shift[Math.floor(at / 7)],
    );
    const tensor = tf.tensor2d(x, [30, 7]);
    const codes = encode(sae, tensor);
    expect(dense(codes)).toBeAllclose(f, { rtol: 1e-4, atol: 1e-4 });
    expect(await reconstruct(sae, codes, tensor)).toBeAllclose(expected, {
      rtol: 1e-4,
      atol: 1e-3,
    });
    const scales = rowScales(sae, tensor) as tf.Tensor2D;
    expect(await scales.data()).toBeAllclose(scale, { rtol: 1e-4, atol: 0 });
    expect(rowScales(withoutNorm(sae), tensor)).toBeNull();
    tf.dispose([tensor, scales]);
  },
);

describe("carried right after an expansion", () => {
  const config = gpt2Config({
    vocab_size: 11,
    n_positions: 8,
    n_embd: 6,
    n_head: 3,
    n_layer: 1,
    n_inner: 8,
    layer_norm_epsilon: 1e-2,
  });
  const options: ExpandOptions = {
    method: "lemon",
    depth_method: "identity",
    positions: "interleaved",
    noise_db: null,
  };
  const hook = "blocks.0.hook_resid_post";
  const carried = (
    norm: RuntimeNorm,
    method: ExpandOptions["method"],
    heads: number,
    [at, d_in]: readonly [string, number] = [hook, 6],
  ) => {
    const random = randomSae({ architecture: "topk", d_in, d_sae: 20, k: 4 });
    const sae = withNorm({ ...random, cfg: { ...random.cfg, hook_name: at } }, norm);
    const growth = { ...options, method, width: 2 * heads };
    const { map } = planExpansion(config, growth, createRng(0));
    return { sae, map, big: carrySae(sae, map).sae };
  };

  test.each([
    ["layer_norm", "lemon", 5],
    ["layer_norm", "lemon", 6],
    ["layer_norm", "hypercloning", 6],
    ["constant_norm_rescale", "hypercloning", 6],
  ] as const)(
    "%s through %s to %d heads: same latents, and E of the reconstruction",
    async (norm, method, heads) => {
      const { sae, map, big } = carried(norm, method, heads);
      const x = unevenRows(40, 6);
      const tensor = hookEntry(map, hook)?.tensor as string;
      const E = (rows: Float32Array): Float32Array => mapVectors(map, tensor, rows);
      const [small, large] = [tf.tensor2d(x, [40, 6]), tf.tensor2d(E(x), [40, 2 * heads])];
      const [codes, codesBig] = [encode(sae, small), encode(big, large)];
      expect(codesBig.latent).toEqual(codes.latent);
      expect(codesBig.value).toBeAllclose(codes.value, { rtol: 1e-4, atol: 1e-4 });
      expect(await reconstruct(big, codesBig, large)).toBeAllclose(
        E(await reconstruct(sae, codes, small)),
        { rtol: 1e-4, atol: 2e-3 },
      );
      tf.dispose([small, large]);
    },
  );

  test("a map that changes the norm by token is refused, with what would pass", () => {
    expect(() => carried("constant_norm_rescale", "lemon", 5)).toThrow(
      /constant_norm_rescale.*scales all activations alike.*whole copies/s,
    );
    const neurons = ["blocks.0.mlp.hook_post", 8] as const;
    expect(() => carried("layer_norm", "lemon", 5, neurons)).toThrow(
      /layer_norm.*by a factor of its own/s,
    );
  });
});

describe("training", () => {
  const d = 6;
  const batches = Array.from({ length: 4 }, (_, i) => unevenRows(40 + i, d));
  const source = (rows: readonly Float32Array[]) => ({
    dIn: d,
    batch: async (step: number) => {
      const values = rows[step % rows.length];
      return tf.tensor2d(values, [values.length / d, d]);
    },
    dispose() {},
  });
  const job = (norm: RuntimeNorm): SaeJob => ({
    name: "own",
    config: saeConfig({
      architecture: "batchtopk",
      d_in: d,
      d_sae: 16,
      k: 3,
      hook_name: "blocks.0.hook_resid_post",
      normalize_activations: norm,
    }),
    init: null,
    rng: createRng("own"),
    pinNorms: false,
  });

  test.each(norms)(
    "%s: an SAE is trained as on rows whose norm is off, and says so",
    async (norm) => {
      const bare = batches.map((x) => normaliseRows(norm, x, d).rows);
      const trained = await createSaeTrainer(source(batches), [job(norm)], {
        steps: 6,
        normalize: norm,
      });
      const expected = await createSaeTrainer(source(bare), [job("none")], {
        steps: 6,
        normalize: "none",
      });
      for (let step = 0; step < 6; step++) {
        const [a, b] = [await trained.step(), await expected.step()];
        expect(a.saes[0].fvu).toBe(b.saes[0].fvu);
      }
      const [own, other] = [trained.saes().get("own") as Sae, expected.saes().get("own") as Sae];
      expect(own.cfg.normalize_activations).toBe(norm);
      expect(withoutNorm(own)).toEqual(other);
      const grown = await growSae(own, source(batches), 3, createRng("more"));
      const bareGrown = await growSae(other, source(bare), 3, createRng("more"));
      expect(withoutNorm(grown)).toEqual(bareGrown);
    },
  );

  test("an SAE that normalises is never trained in another frame", async () => {
    await expect(
      createSaeTrainer(source(batches), [job("layer_norm")], { steps: 6, normalize: "none" }),
    ).rejects.toThrow(/internal: own has layer_norm, its training none/);
  });
});
