import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import {
  carrySae,
  checkCarry,
  decode,
  encode,
  preActivations,
  type Sae,
  type SaeArchitecture,
  saeConfig,
} from "../../sae/index.ts";
import { createRng, tf, useBackend } from "../../src/engine/index.ts";
import {
  composeMaps,
  type ExpandOptions,
  expandModel,
  mapVectors,
  planExpansion,
} from "../../src/expansion/index.ts";
import { gpt2Config, hookWidth, llamaConfig, placeModel } from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { randomModel } from "../support/growth-f64.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const options: ExpandOptions = {
  method: "lemon",
  depth_method: "identity",
  positions: "interleaved",
  noise_db: 10,
};

const config = (heads: number, headDim: number) =>
  gpt2Config({
    vocab_size: 17,
    n_positions: 12,
    n_embd: heads * headDim,
    n_head: heads,
    n_layer: 2,
    n_inner: 14,
    layer_norm_epsilon: 1e-2,
  });

/** Decoder norms, biases and thresholds all differ between latents. */
function randomSae(d_in: number, hook_name: string, architecture: SaeArchitecture): Sae {
  const d_sae = 24;
  const rng = createRng(`${hook_name} ${architecture}`);
  const draw = (n: number, scale: number, shift = 0) =>
    Float32Array.from({ length: n }, () => shift + scale * rng.normal());
  return {
    cfg: saeConfig({ architecture, d_in, d_sae, k: 4, hook_name }),
    W_enc: draw(d_in * d_sae, 1),
    b_enc: draw(d_sae, 0.3),
    W_dec: draw(d_sae * d_in, 1),
    b_dec: draw(d_in, 1),
    threshold: architecture === "batchtopk" ? draw(d_sae, 0.2, 1) : null,
  };
}

const cases = fc.record({
  heads: fc.integer({ min: 1, max: 3 }),
  headDim: fc.integer({ min: 2, max: 5 }),
  moreDims: fc.integer({ min: 0, max: 2 }),
  moreHeads: fc.integer({ min: 0, max: 6 }),
  moreMlp: fc.integer({ min: 1, max: 20 }),
  moreLayers: fc.integer({ min: 0, max: 2 }),
  hook: fc.constantFrom(
    "blocks.0.hook_resid_post",
    "blocks.1.hook_resid_mid",
    "blocks.1.mlp.hook_post",
    "blocks.0.attn.hook_z",
    "hook_embed",
    "ln_final.hook_normalized",
  ),
  architecture: fc.constantFrom("topk" as const, "batchtopk" as const),
});

describe("carrySae", () => {
  it("gives the same latents and E times the reconstruction on the image of E", () => {
    fc.assert(
      fc.property(cases, ({ heads, headDim, hook, architecture, ...more }) => {
        const parent = config(heads, headDim);
        const { map } = planExpansion(
          parent,
          {
            ...options,
            width: (heads + more.moreHeads) * (headDim + more.moreDims),
            headDim: headDim + more.moreDims,
            mlp: 14 + more.moreMlp,
            layers: 2 + more.moreLayers,
          },
          createRng(1),
        );
        const d = hookWidth(parent, hook);
        const sae = randomSae(d, hook, architecture);
        const carried = carrySae(sae, map);
        const entry = map.hooks.find(({ from }) => from === hook)!;
        expect(carried.hook_name).toBe(entry.to[0]);
        expect(carried.sae.cfg.hook_name).toBe(entry.to[0]);

        const rng = createRng(2);
        const h = Float32Array.from({ length: 8 * d }, () => rng.normal());
        const H = mapVectors(map, entry.tensor, h);
        const [x, X] = [tf.tensor2d(h, [8, d]), tf.tensor2d(H, [8, carried.sae.cfg.d_in])];
        const [before, after] = [preActivations(sae, x), preActivations(carried.sae, X)];
        expect(after.dataSync()).toBeAllclose(before.dataSync(), { rtol: 1e-5, atol: 1e-4 });
        const [codes, carriedCodes] = [encode(sae, x), encode(carried.sae, X)];
        expect(carriedCodes.rowStart).toEqual(codes.rowStart);
        expect(carriedCodes.latent).toEqual(codes.latent);
        const want = mapVectors(map, entry.tensor, decode(sae, codes));
        expect(decode(carried.sae, carriedCodes)).toBeAllclose(want, { rtol: 1e-4, atol: 1e-4 });
        tf.dispose([x, X, before, after]);
      }),
      { numRuns: 60, seed: 7 }, // fixed: two pre-activations closer than f32 tells apart may swap
    );
  });

  it("keeps thresholds and biases, and leaves decoder norms at what E makes them", () => {
    const { map } = planExpansion(config(2, 3), { ...options, width: 15 }, createRng(1));
    const sae = randomSae(6, "blocks.0.hook_resid_post", "batchtopk");
    const carried = carrySae(sae, map).sae;
    expect(carried.threshold).toEqual(sae.threshold);
    expect(carried.b_enc).toEqual(sae.b_enc);
    for (let i = 0; i < sae.cfg.d_sae; i++) {
      const w = sae.W_dec.subarray(i * 6, (i + 1) * 6);
      const squares = w.reduce((sum, value) => sum + value ** 2, 0);
      const mean = w.reduce((sum, value) => sum + value, 0) / 6;
      const W = carried.W_dec.subarray(i * 15, (i + 1) * 15);
      const got = W.reduce((sum, value) => sum + value ** 2, 0);
      expect(got).toBeCloseTo(2 * squares + 3 * mean ** 2, 4); // q‖w‖² + r·mean(w)²
    }
  });

  it("carried twice is carried once by the composed map", () => {
    const first = planExpansion(
      config(2, 3),
      { ...options, width: 15, layers: 3, positions: [0] },
      createRng(1),
    ).map;
    const second = planExpansion(
      { ...config(5, 3), n_layer: 3, n_inner: first.child.d_mlp },
      { ...options, width: 21, layers: 4, positions: [1] },
      createRng(2),
    ).map;
    const sae = randomSae(6, "blocks.0.hook_resid_post", "topk");
    const twice = carrySae(carrySae(sae, first).sae, second);
    const once = carrySae(sae, composeMaps(first, second));
    expect(twice.hook_name).toBe("blocks.2.hook_resid_post");
    expect(once.hook_name).toBe(twice.hook_name);
    expect(once.also).toEqual(["blocks.0.hook_resid_post", "blocks.1.hook_resid_post"]);
    for (const field of ["W_enc", "W_dec", "b_dec", "b_enc"] as const) {
      expect(once.sae[field]).toBeAllclose(twice.sae[field], { atol: 1e-6 });
    }
  });

  it("reads heads where they grew, and where they stay wider than the stream", () => {
    const hook = "blocks.1.attn.hook_z";
    const llama = llamaConfig({
      vocab_size: 9,
      max_position_embeddings: 8,
      hidden_size: 8,
      num_hidden_layers: 2,
      num_attention_heads: 2,
      head_dim: 6,
      intermediate_size: 9,
    });
    const { map, growth } = planExpansion(llama, { ...options, headDim: 10 }, createRng(1));
    const sae = randomSae(12, hook, "topk");
    const carried = carrySae(sae, map).sae;
    expect(carried.cfg.d_in).toBe(20);
    const pad = (row: ArrayLike<number>) =>
      [0, 1].flatMap((head) => [
        ...Array.from({ length: 6 }, (_, i) => row[head * 6 + i]),
        ...[0, 0, 0, 0],
      ]);
    expect([...carried.W_dec.subarray(20, 40)]).toEqual(pad(sae.W_dec.subarray(12, 24)));
    const next = planExpansion(growth.plan.config, { ...options, vocab: 11 }, createRng(1)).map;
    expect(carrySae(carried, next).sae.W_enc).toEqual(carried.W_enc);
    expect(carrySae(sae, composeMaps(map, next)).sae.W_dec).toEqual(carried.W_dec);
  });

  it("refuses a hook that the map lacks and an SAE of another width", () => {
    const { map } = planExpansion(config(2, 3), { ...options, width: 15 }, createRng(1));
    const far = randomSae(6, "blocks.7.hook_resid_post", "topk");
    expect(() => carrySae(far, map)).toThrow("blocks.0.hook_resid_post");
    const wide = randomSae(8, "blocks.0.hook_resid_post", "topk");
    expect(() => carrySae(wide, map)).toThrow("d_in 6");
    const deeper = planExpansion(config(2, 3), { ...options, layers: 3 }, createRng(1)).map;
    expect(() => carrySae(wide, deeper)).toThrow("d_in 6");
  });
});

describe("checkCarry", () => {
  it("finds the same latents and the same FVU in the parent's frame, and sees it when they differ", async () => {
    const parent = randomModel(config(3, 4), 1);
    const growth = { ...options, width: 28, layers: 3 };
    const { child, map } = await expandModel(parent, growth, createRng(1));
    const [a, b] = [placeModel(parent), placeModel(child)];
    const sae = randomSae(12, "blocks.1.hook_resid_pre", "topk");
    const carried = carrySae(sae, map);
    const set = {
      ids: Int32Array.from({ length: 50 }, (_, i) => (3 * i) % 17),
      nSeq: 5,
      context: 10,
    };
    const check = await checkCarry(sae, carried, map, a, b, set, { batchSequences: 2 });
    expect(check.same_latents).toBeGreaterThan(0.999);
    expect(check.fvu_parent_frame).toBeCloseTo(check.fvu_parent, 4);

    const moved = { ...carried, sae: { ...carried.sae, b_enc: carried.sae.b_enc.map((x) => -x) } };
    const other = await checkCarry(sae, moved, map, a, b, set);
    expect(other.same_latents).toBeLessThan(0.95);
    // of f32 activations of batches of another size
    expect([other.fvu_parent]).toBeAllclose([check.fvu_parent], { rtol: 1e-6 });
    a.dispose();
    b.dispose();
  });
});
