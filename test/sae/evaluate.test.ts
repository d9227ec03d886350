// Evaluation of SAEs: figures by hand and against the measures written out in f64. With SAELens's own: saelens-evaluation.test.ts.
import { beforeAll, describe, expect, test } from "vitest";
import type { Sequences } from "../../sae/activations.ts";
import {
  evaluateSae,
  evaluateSaes,
  type Sae,
  type SaeEvaluation,
  saeConfig,
} from "../../sae/index.ts";
import { createRng, tf, useBackend } from "../../src/engine/index.ts";
import {
  gpt2Config,
  type HostModel,
  heldOutLoss,
  hookWidth,
  type Model,
  placeModel,
} from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { layerNormF64, runF64 } from "../support/gpt2-f64.ts";
import { randomModel } from "../support/growth-f64.ts";
import { naiveDecode, naiveEncode, randomSae } from "./support/random-sae.ts";

const vocab = 11;
const width = 6;
const context = 6;
const nSeq = 7;
const last = "blocks.1.hook_resid_post";
const config = gpt2Config({
  vocab_size: vocab,
  n_positions: 8,
  n_embd: width,
  n_layer: 2,
  n_head: 2,
  n_inner: 10,
  layer_norm_epsilon: 0.01,
});
const host = randomModel(config, "evaluate");
const stream = createRng("sequences");
const set: Sequences = {
  ids: Int32Array.from({ length: nSeq * context }, (_, i) => (i % context ? stream.int(vocab) : 0)),
  nSeq,
  context,
};

let model: Model;
beforeAll(async () => {
  await useBackend(testBackend);
  model = placeModel(host);
  return () => model.dispose();
});

/** An SAE that gives back what it reads: latents x and −x, those above zero. */
function identitySae(hook_name: string, d: number): Sae {
  const W_enc = new Float32Array(2 * d * d);
  const W_dec = new Float32Array(2 * d * d);
  for (let i = 0; i < d; i++) {
    W_enc[i * 2 * d + i] = W_dec[i * d + i] = 1;
    W_enc[i * 2 * d + d + i] = W_dec[(d + i) * d + i] = -1;
  }
  return {
    cfg: saeConfig({ architecture: "topk", d_in: d, d_sae: 2 * d, k: 2 * d, hook_name }),
    W_enc,
    b_enc: new Float32Array(2 * d),
    W_dec,
    b_dec: new Float32Array(d),
    threshold: null,
  };
}

/** An SAE that says `b_dec` whatever it reads. */
function constantSae(hook_name: string, b_dec: Float32Array): Sae {
  const sae = identitySae(hook_name, b_dec.length);
  return { ...sae, W_dec: new Float32Array(sae.W_dec.length), b_dec };
}

function saeOf(architecture: "topk" | "batchtopk", seed: string): Sae {
  const sae = randomSae({ architecture, d_in: width, d_sae: 13, k: 3 }, seed);
  return { ...sae, cfg: { ...sae.cfg, hook_name: last } };
}

describe("by hand, on embeddings", () => {
  // x of the tokens 1, 2, 3 is (1, 0), (0, 1), (1, 1). Latents: x₀ and x₁ where above 1/2, and one
  // that never fires; the second is decoded at half its size.
  const tiny = gpt2Config({ vocab_size: 4, n_positions: 4, n_embd: 2, n_layer: 1, n_head: 1 });
  const weights = new Map(randomModel(tiny, "tiny").weights);
  weights.set("transformer.wte.weight", {
    shape: [4, 2],
    data: Float32Array.of(2, 2, 1, 0, 0, 1, 1, 1),
  });
  const sae: Sae = {
    cfg: saeConfig({ architecture: "batchtopk", d_in: 2, d_sae: 3, k: 1, hook_name: "hook_embed" }),
    W_enc: Float32Array.of(1, 0, 0, 0, 1, 0),
    b_enc: new Float32Array(3),
    W_dec: Float32Array.of(1, 0, 0, 0.5, 7, 7),
    b_dec: new Float32Array(2),
    threshold: new Float32Array(3).fill(0.5),
  };
  const rows = { ids: Int32Array.of(0, 1, 2, 3, 0, 1, 1, 2), nSeq: 2, context: 4 };

  test("tokens, L0, FVU, norms, dead latents and densities", async () => {
    const placed = placeModel({ config: tiny, weights });
    const got = await evaluateSae(sae, placed, rows);
    placed.dispose();
    // rows (1,0) ×3, (0,1) ×2, (1,1): Σ‖x‖² 7, mean (4, 3)/6, Σ‖x − x̂‖² 3/4
    const variance = 7 - 6 * (16 / 36 + 9 / 36);
    expect(got).toMatchObject({
      hook_name: "hook_embed",
      tokens: 6,
      first_tokens_excluded: true,
      dead_fraction: 1 / 3,
    });
    expect([got.l0, got.fvu!, got.explained_variance!]).toBeAllclose([
      7 / 6,
      0.75 / variance,
      1 - 0.75 / variance,
    ]);
    expect([got.l2_ratio!, got.relative_reconstruction_bias!]).toBeAllclose([
      (3 + 2 * 0.5 + Math.sqrt(1.25 / 2)) / 6,
      4.75 / 5.5,
    ]);
    // densities 4/6 and 3/6: log₁₀ −0.18 and −0.30, in the last two fifths of a power of ten
    expect(got.density.log10_edges).toHaveLength(26);
    expect([got.density.log10_edges[0], got.density.log10_edges[25]]).toEqual([-5, 0]);
    expect(got.density.counts).toEqual([...new Array(23).fill(0), 1, 1]);
  });

  test("latents that are on often, and their share of all firings", async () => {
    // x₀ fires on 1 and 3, x₁ on 2 and 3: of 210 tokens on 195 and on 20
    const kinds = [...new Array(190).fill(1), ...new Array(15).fill(2), ...new Array(5).fill(3)];
    const ids = kinds.flatMap((id, i) => (i % 3 === 0 ? [0, id] : [id]));
    const placed = placeModel({ config: tiny, weights });
    const many = { ids: Int32Array.from(ids), nSeq: 70, context: 4 };
    const seen: number[] = [];
    const onCodes = (_: number, { latent }: { latent: Int32Array }) => void seen.push(...latent);
    const got = await evaluateSae(sae, placed, many, { onCodes });
    placed.dispose();
    expect(seen.filter((latent) => latent === 0)).toHaveLength(195);
    expect(seen).toHaveLength(215);
    expect(got).toMatchObject({ tokens: 210, freq_over_1_percent: 2 / 3 });
    expect(got).toMatchObject({ freq_over_10_percent: 1 / 3, normalized_freq_over_1_percent: 1 });
    expect(got.normalized_freq_over_10_percent).toBeCloseTo(195 / 215, 12);
  });

  test("a latent that always fires is in the last bin of the densities", async () => {
    const placed = placeModel({ config: tiny, weights });
    const always = { ...sae, b_enc: Float32Array.of(9, 9, 9) };
    const { density, dead_fraction, l0 } = await evaluateSae(always, placed, rows);
    placed.dispose();
    expect(density.counts).toEqual([...new Array(24).fill(0), 3]);
    expect([dead_fraction, l0]).toEqual([0, 3]);
  });

  test("activations that don't vary have no FVU", async () => {
    const placed = placeModel({ config: tiny, weights });
    const same = { ids: Int32Array.of(0, 3, 3, 3), nSeq: 1, context: 4 };
    const { fvu, explained_variance } = await evaluateSae(sae, placed, same);
    placed.dispose();
    expect([fvu, explained_variance]).toEqual([null, null]);
  });
});

describe.each([
  "hook_embed",
  "blocks.0.attn.hook_z",
  "blocks.0.mlp.hook_post",
  "blocks.1.hook_resid_mid",
  last,
  "ln_final.hook_normalized",
])("at %s", (hook) => {
  test("an identity SAE leaves nothing unexplained and loses nothing", async () => {
    const got = await evaluateSae(identitySae(hook, hookWidth(config, hook)), model, set);
    expect(got.ce_sae).toBe(got.ce_orig);
    expect(got).toMatchObject({
      ...{ fvu: 0, explained_variance: 1, ce_loss_score_zero: 1, ce_loss_score_mean: 1 },
      ...{ kl_div_score: 1, l2_ratio: 1, relative_reconstruction_bias: 1, l0: got.l0 },
    });
    const { loss } = await heldOutLoss(model, set.ids, context);
    expect(got.ce_orig).toBeCloseTo(loss, 5);
  });

  test("an SAE that says zero is the zero ablation", async () => {
    const zero = constantSae(hook, new Float32Array(hookWidth(config, hook)));
    const got = await evaluateSae(zero, model, set);
    expect(got.ce_sae).toBe(got.ce_zero);
    const scores = [got.ce_loss_score_zero, got.kl_div_score, got.l2_ratio];
    expect(scores.map(Math.abs as (score: number | null) => number)).toEqual([0, 0, 0]);
    expect(got.relative_reconstruction_bias).toBeNull();
    expect(got.fvu).toBeGreaterThanOrEqual(1 - 1e-9);
  });
});

test("an SAE that says the mean explains nothing and is the mean ablation", async () => {
  const rows = keptRows(host, set, 1);
  const mean = new Float32Array(width);
  for (let i = 0; i < rows.length; i++) mean[i % width] += (rows[i] * width) / rows.length;
  const got = await evaluateSae(constantSae(last, mean), model, set);
  expect(got.fvu).toBeCloseTo(1, 5);
  expect(got.ce_sae).toBeCloseTo(got.ce_mean, 5);
  expect(got.ce_loss_score_mean).toBeCloseTo(0, 3);
});

test.each([
  ["topk", 0],
  ["topk", 1],
  ["batchtopk", 1],
  ["batchtopk", 3],
] as const)(
  "every figure of a %s SAE without the first %d tokens equals the f64 reference",
  async (architecture, skip) => {
    const sae = saeOf(architecture, "reference");
    const got = await evaluateSae(sae, model, set, { firstTokensExcluded: skip });
    const want = reference(host, set, sae, skip);
    expect(got).toMatchObject({ tokens: nSeq * (context - skip), first_tokens_excluded: skip > 0 });
    for (const [name, value] of Object.entries(want)) {
      const found = got[name as keyof typeof want];
      expect(Math.abs((found as number) - value) / (1e-3 + Math.abs(value)), name).toBeLessThan(
        1e-4,
      );
    }
  },
);

test("several SAEs in one call have the figures that they have alone, in their order", async () => {
  const saes = [saeOf("topk", "a"), saeOf("batchtopk", "b"), identitySae(last, width)];
  const together = await evaluateSaes(model, set, saes);
  for (const [i, sae] of saes.entries()) {
    expect(together[i]).toEqual(await evaluateSae(sae, model, set));
  }
});

test("how many sequences share a pass changes nothing beyond rounding", async () => {
  const sae = saeOf("batchtopk", "batches");
  const want = await evaluateSae(sae, model, set);
  for (const batchSequences of [1, 3, 7]) {
    const got = await evaluateSae(sae, model, set, { batchSequences });
    expect(got.density).toEqual(want.density);
    // of each pass by itself, as it was defined
    const { explained_variance_legacy } = want;
    expect(numbersOf({ ...got, explained_variance_legacy })).toBeAllclose(numbersOf(want), {
      rtol: 1e-4,
      atol: 1e-6,
    });
  }
});

test("spliced losses are measured on about as many tokens as asked for, evenly spread", async () => {
  const sae = saeOf("topk", "spread");
  const all = await evaluateSae(sae, model, set);
  const part = await evaluateSae(sae, model, set, { lossTokens: 2 * context + 1 });
  // 3 of 7 sequences: 0, 2, 4
  const ids = Int32Array.from(
    [0, 2, 4].flatMap((s) => [...set.ids.subarray(s * context, (s + 1) * context)]),
  );
  expect(part.ce_orig).toBeCloseTo((await heldOutLoss(model, ids, context)).loss, 5);
  expect(part).toMatchObject({ tokens: all.tokens, fvu: all.fvu, l0: all.l0 });
});

test("SAEs are measured where none of them was left out of training", async () => {
  const one = saeOf("topk", "one");
  const two = { ...one, cfg: { ...one.cfg, first_tokens_excluded: 2 } };
  const [a, b] = await evaluateSaes(model, set, [one, two]);
  expect([a.tokens, b.tokens]).toEqual([nSeq * (context - 2), nSeq * (context - 2)]);
  const none = { ...one, cfg: { ...one.cfg, first_tokens_excluded: 0 } };
  expect(await evaluateSae(none, model, set)).toMatchObject({
    tokens: nSeq * context,
    first_tokens_excluded: false,
  });
});

describe("tokens of large norm", () => {
  const tiny = gpt2Config({ vocab_size: 5, n_positions: 4, n_embd: 2, n_layer: 1, n_head: 1 });
  const weights = new Map(randomModel(tiny, "sink").weights);
  // of norms 1, 1, 1, √2 and 50: token 4 is a sink
  const embedding = Float32Array.of(1, 0, 1, 0, 0, 1, 1, 1, 40, 30);
  weights.set("transformer.wte.weight", { shape: [5, 2], data: embedding });
  const rows = { ids: Int32Array.of(0, 1, 4, 2, 0, 3, 1, 2), nSeq: 2, context: 4 };
  const wrong = constantSae("hook_embed", Float32Array.of(0.5, 0));
  const filtered = { ...wrong, cfg: { ...wrong.cfg, max_norm_ratio: 10 } };

  test("are left out where an SAE was trained without them, and the figures say how many", async () => {
    const placed = placeModel({ config: tiny, weights });
    const [all, without] = [
      await evaluateSae(wrong, placed, rows),
      await evaluateSae(filtered, placed, rows),
    ];
    expect(all).toMatchObject({ tokens: 6, high_norm_excluded: 0 });
    expect(without).toMatchObject({ tokens: 5, high_norm_excluded: 1 });
    // rows (1,0) ×2, (0,1) ×2, (1,1): Σ‖x‖² 6, mean (3, 3)/5, Σ‖x − (1/2, 0)‖² 2/4 + 10/4 + 5/4
    const variance = 6 - 5 * (9 / 25 + 9 / 25);
    expect(without.fvu).toBeCloseTo(4.25 / variance, 6);
    // asked for, the filter holds for SAEs trained on all tokens, and can be switched off
    expect(await evaluateSae(wrong, placed, rows, { maxNormRatio: 10 })).toEqual(without);
    expect(await evaluateSae(filtered, placed, rows, { maxNormRatio: null })).toEqual(all);
    placed.dispose();
  });

  test("keep their own activations where a reconstruction is spliced in", async () => {
    const placed = placeModel({ config: tiny, weights });
    const silent = constantSae("hook_embed", new Float32Array(2));
    // what is spliced in is zero, for all tokens but the first and the sink
    const got = await evaluateSae(silent, placed, rows, { maxNormRatio: 10 });
    expect(got.ce_sae).toBeCloseTo(got.ce_zero, 6);
    const every = await evaluateSae(silent, placed, rows);
    expect(Math.abs(every.ce_sae - got.ce_sae)).toBeGreaterThan(1e-4);
    placed.dispose();
  });
});

test.each([[context - 1], [-1], [Number.NaN]])(
  "leaving out %d first tokens is refused",
  async (firstTokensExcluded) => {
    await expect(
      evaluateSae(saeOf("topk", "none"), model, set, { firstTokensExcluded }),
    ).rejects.toMatchObject({
      name: "UsageError",
      where: "first_tokens_excluded",
      expected: "0 to 4 with sequences of 6 tokens",
    });
  },
);

test("SAEs of different hooks are refused, and nothing is left on the engine", async () => {
  const before = tf.memory().numTensors;
  const sae = saeOf("topk", "hooks");
  await evaluateSaes(model, set, [sae, saeOf("batchtopk", "hooks")]);
  expect(tf.memory().numTensors).toBe(before);
  await expect(evaluateSaes(model, set, [sae, identitySae("hook_embed", width)])).rejects.toThrow(
    "internal: SAEs of different hooks",
  );
});

function numbersOf(evaluation: SaeEvaluation): number[] {
  return Object.values(evaluation).filter((value) => typeof value === "number");
}

/** The last residual stream of all but the first `skip` tokens of each sequence, in f64. */
function keptRows(from: HostModel, { ids }: Sequences, skip: number): Float64Array {
  const rows: number[] = [];
  for (let s = 0; s < nSeq; s++) {
    const { hooks } = runF64(from, ids.subarray(s * context, (s + 1) * context));
    rows.push(...hooks.get(last)!.subarray(skip * width));
  }
  return Float64Array.from(rows);
}

/** The measures as their definitions say, in f64, of an SAE on the last residual stream. */
function reference(from: HostModel, tokens: Sequences, sae: Sae, skip: number) {
  const x = keptRows(from, tokens, skip);
  const reconstruct = (rows: Float64Array): Float64Array =>
    naiveDecode(sae, naiveEncode(sae, Float32Array.from(rows)));
  const codes = naiveEncode(sae, Float32Array.from(x));
  const xHat = naiveDecode(sae, codes);
  const n = x.length / width;
  const mean = new Float64Array(width);
  for (let i = 0; i < x.length; i++) mean[i % width] += x[i] / n;
  const tokenwise = Array.from({ length: n }, (_, t) => {
    const dot = (of: (i: number) => number): number =>
      Array.from({ length: width }, (_, i) => of(t * width + i)).reduce((a, b) => a + b);
    const [norm, normHat] = [dot((i) => x[i] ** 2), dot((i) => xHat[i] ** 2)].map(Math.sqrt);
    const [error, inner] = [dot((i) => (x[i] - xHat[i]) ** 2), dot((i) => x[i] * xHat[i])];
    const spread = dot((i) => (x[i] - mean[i % width]) ** 2);
    const legacy = 1 - error / spread;
    return { norm, normHat, error, inner, spread, legacy, cosine: inner / norm / normHat };
  });
  type Measure = keyof (typeof tokenwise)[number];
  const sum = (measure: Measure): number => tokenwise.reduce((all, row) => all + row[measure], 0);
  const loss = { orig: 0, sae: 0, zero: 0, mean: 0 };
  const kl = { sae: 0, zero: 0 };
  const [run, predictions] = [nSeq * context, nSeq * (context - 1)];
  for (let s = 0; s < nSeq; s++) {
    const row = tokens.ids.subarray(s * context, (s + 1) * context);
    const h = runF64(from, row).hooks.get(last)!;
    const spliced = (by: Float64Array): number[][] =>
      logProbabilities(
        from,
        h.map((value, i) => (i < skip * width ? value : by[i])),
      );
    const orig = spliced(h);
    const all = {
      orig,
      sae: spliced(reconstruct(h)),
      zero: spliced(new Float64Array(h.length)),
      mean: spliced(h.map((_, i) => mean[i % width])),
    };
    for (let t = 0; t < context; t++) {
      for (const key of ["orig", "sae", "zero", "mean"] as const) {
        if (t + 1 < context) loss[key] -= all[key][t][row[t + 1]] / predictions;
      }
      for (const key of ["sae", "zero"] as const) {
        for (let v = 0; v < vocab; v++) {
          kl[key] += (Math.exp(orig[t][v]) * (orig[t][v] - all[key][t][v])) / run;
        }
      }
    }
  }
  const fired = Array.from({ length: sae.cfg.d_sae }, (_, i) =>
    codes.some((value, j) => j % sae.cfg.d_sae === i && value > 0),
  );
  return {
    l0: codes.filter((value) => value > 0).length / n,
    l1: codes.reduce((all, value) => all + value, 0) / n,
    fvu: sum("error") / sum("spread"),
    explained_variance: 1 - sum("error") / sum("spread"),
    explained_variance_legacy: sum("legacy") / n,
    mse: sum("error") / n,
    cossim: sum("cosine") / n,
    l2_norm_in: sum("norm") / n,
    l2_norm_out: sum("normHat") / n,
    ce_orig: loss.orig,
    ce_sae: loss.sae,
    ce_zero: loss.zero,
    ce_mean: loss.mean,
    ce_loss_score_zero: (loss.zero - loss.sae) / (loss.zero - loss.orig),
    ce_loss_score_mean: (loss.mean - loss.sae) / (loss.mean - loss.orig),
    kl_div_with_sae: kl.sae,
    kl_div_with_ablation: kl.zero,
    kl_div_score: (kl.zero - kl.sae) / kl.zero,
    loss_tokens: run,
    l2_ratio: tokenwise.reduce((all, { norm, normHat }) => all + normHat / norm, 0) / n,
    relative_reconstruction_bias:
      tokenwise.reduce((all, { normHat }) => all + normHat ** 2, 0) / sum("inner"),
    dead_fraction: fired.filter((value) => !value).length / sae.cfg.d_sae,
  };
}

/** Log-probabilities [T][V] from the last residual stream [T, d]. */
function logProbabilities(from: HostModel, h: Float64Array): number[][] {
  const parameter = (name: string): Float64Array =>
    Float64Array.from(from.weights.get(`transformer.${name}`)!.data as Float32Array);
  const normed = layerNormF64(
    h,
    parameter("ln_f.weight"),
    parameter("ln_f.bias"),
    config.layer_norm_epsilon,
  );
  const wte = parameter("wte.weight");
  return Array.from({ length: h.length / width }, (_, t) => {
    const logits = Array.from({ length: vocab }, (_, v) => {
      let dot = 0;
      for (let i = 0; i < width; i++) dot += normed[t * width + i] * wte[v * width + i];
      return dot;
    });
    const norm = Math.log(logits.reduce((total, x) => total + Math.exp(x), 0));
    return logits.map((x) => x - norm);
  });
}
