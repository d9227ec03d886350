// What is shown of each latent: statistics and contexts by hand and against a naive search, token logits, the table.
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import {
  appendLineage,
  type FeatureTokens,
  featureColumns,
  freshLineage,
  type LatentFeature,
  latentFeatures,
  type Sae,
  type SparseCodes,
  saeConfig,
} from "../../sae/index.ts";
import { createRng, tf, useBackend } from "../../src/engine/index.ts";
import { readArrow, writeArrowTable } from "../../src/io/index.ts";
import { gpt2Config, type Model, placeModel } from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { temporaryFolder } from "../support/folder.ts";
import { randomModel } from "../support/growth-f64.ts";
import { draw } from "./support/random-sae.ts";

const at = temporaryFolder();

const d = 4;
const text = ["<|endoftext|>", "a", "b", "c", "d", "e", "f", "g", "h"];
const config = gpt2Config({ vocab_size: 9, n_positions: 8, n_embd: d, n_layer: 1, n_head: 1 });
const host = randomModel(config, "features");

let model: Model;
beforeAll(async () => {
  await useBackend(testBackend);
  model = placeModel(host);
  return () => model.dispose();
});

function saeWith(d_sae: number, hook_name = "blocks.0.hook_resid_post", d_in = d): Sae {
  return {
    cfg: saeConfig({ architecture: "topk", d_in, d_sae, k: 1, hook_name }),
    W_enc: new Float32Array(d_in * d_sae),
    b_enc: new Float32Array(d_sae),
    W_dec: draw("directions", d_sae * d_in),
    b_dec: new Float32Array(d_in),
    threshold: null,
  };
}

/** Codes from dense rows, [nTokens][dSae]. */
function codesOf(dense: readonly (readonly number[])[]): SparseCodes {
  const rowStart = [0];
  const latent: number[] = [];
  const value: number[] = [];
  for (const row of dense) {
    for (const [i, activation] of row.entries()) {
      if (activation > 0) {
        latent.push(i);
        value.push(activation);
      }
    }
    rowStart.push(latent.length);
  }
  return {
    nTokens: dense.length,
    dSae: dense[0].length,
    rowStart: Int32Array.from(rowStart),
    latent: Int32Array.from(latent),
    value: Float32Array.from(value),
  };
}

// Two sequences of document 4 (from its start) and document 9 (from its token 40).
const tokens: FeatureTokens = {
  ids: Int32Array.of(0, 1, 2, 3, 4, 0, 5, 6, 7, 8),
  doc: Int32Array.of(4, 9),
  start: Int32Array.of(0, 40),
  context: 5,
  skip: 1,
  text,
};

describe("contexts", () => {
  // rows: a b c d | e f g h
  const codes = codesOf([
    [0, 0],
    [1, 0],
    [0, 0],
    [3, 0],
    [3, 0],
    [0, 0],
    [0, 0],
    [0.5, 0],
  ]);

  test("density, mean, maximum, and the strongest place of each sequence, by hand", async () => {
    const [first, silent] = await latentFeatures(saeWith(2), codes, tokens, model, {
      before: 2,
      after: 2,
    });
    expect(first).toMatchObject({ density: 4 / 8, mean_activation: 7.5 / 4, max_activation: 3 });
    // equal activations: the earlier row first; windows end where their sequence does
    expect(first.top_contexts).toEqual([
      { doc: 4, pos: 3, tokens: ["b", "c", "d"], activations: [1, 0, 3] },
      { doc: 9, pos: 40, tokens: ["e", "f", "g"], activations: [3, 0, 0] },
    ]);
    expect(silent).toMatchObject({
      ...{ density: 0, mean_activation: 0, max_activation: 0, top_contexts: [] },
    });
  });

  test("a window of the default size is the whole of a short sequence, without <|endoftext|>", async () => {
    const [{ top_contexts }] = await latentFeatures(saeWith(2), codes, tokens, model);
    expect(top_contexts.map((context) => context.tokens)).toEqual([
      ["a", "b", "c", "d"],
      ["e", "f", "g", "h"],
    ]);
  });

  test("fewer contexts are the strongest ones; none leave the figures as they are", async () => {
    const [one] = await latentFeatures(saeWith(2), codes, tokens, model, { contexts: 1 });
    expect(one.top_contexts.map(({ doc, pos }) => [doc, pos])).toEqual([[4, 3]]);
    const [none] = await latentFeatures(saeWith(2), codes, tokens, model, { contexts: 0 });
    expect(none).toMatchObject({ top_contexts: [], max_activation: 3, density: 0.5 });
  });

  test("<|endoftext|> counts where it has a row, and is never shown", async () => {
    const rows = codesOf([
      [9, 2],
      [0, 0],
      [0, 0],
      [0, 0],
      [0, 0],
      [0, 7],
      [1, 0],
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
    const [first, second] = await latentFeatures(saeWith(2), rows, { ...tokens, skip: 0 }, model, {
      before: 1,
      after: 1,
    });
    expect(first).toMatchObject({ density: 0.2, mean_activation: 5, max_activation: 9 });
    expect(first.top_contexts).toEqual([
      { doc: 9, pos: 40, tokens: ["e", "f"], activations: [1, 0] },
    ]);
    expect(second).toMatchObject({ density: 0.2, max_activation: 7, top_contexts: [] });
  });

  test("tokens that were left out are shown with no activation", async () => {
    const rows = codesOf([[0], [2], [0], [0], [0], [0]]);
    const [{ top_contexts }] = await latentFeatures(
      saeWith(1),
      rows,
      { ...tokens, skip: 2 },
      model,
    );
    expect(top_contexts).toEqual([
      { doc: 4, pos: 2, tokens: ["a", "b", "c", "d"], activations: [0, 0, 2, 0] },
    ]);
  });

  test("codes of other tokens are refused", async () => {
    await expect(latentFeatures(saeWith(1), codesOf([[1], [1]]), tokens, model)).rejects.toThrow(
      "internal: codes of 2 tokens on 2 sequences of 4",
    );
  });

  test("statistics and places equal those of a naive search, on any codes", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          nSeq: fc.integer({ min: 1, max: 6 }),
          context: fc.integer({ min: 2, max: 6 }),
          contexts: fc.integer({ min: 1, max: 4 }),
          // few levels: ties are the rule
          levels: fc.integer({ min: 2, max: 5 }),
          seed: fc.nat(),
        }),
        async ({ nSeq, context, contexts, levels, seed }) => {
          const rng = createRng(seed);
          const dSae = 3;
          const dense = Array.from({ length: nSeq * (context - 1) }, () =>
            Array.from({ length: dSae }, () => rng.int(levels)),
          );
          const some: FeatureTokens = {
            ids: Int32Array.from({ length: nSeq * context }, (_, i) =>
              i % context ? 1 + rng.int(8) : 0,
            ),
            doc: Int32Array.from({ length: nSeq }, (_, s) => 10 + s),
            start: Int32Array.from({ length: nSeq }, () => rng.int(100)),
            context,
            skip: 1,
            text,
          };
          const got = await latentFeatures(saeWith(dSae), codesOf(dense), some, model, {
            contexts,
            before: 2,
            after: 1,
          });
          expect(got.map(withoutLogits)).toEqual(naive(dense, some, contexts, 2, 1));
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe("token logits", () => {
  test("equal the direct path in f64: centred direction, gain, unembedding, centred over the vocabulary", async () => {
    const sae = saeWith(3);
    const features = await latentFeatures(sae, codesOf(silence(3)), tokens, model, { logits: 9 });
    for (const [i, { top_logits, bottom_logits }] of features.entries()) {
      const want = directPath(sae.W_dec.subarray(i * d, (i + 1) * d));
      const order = want.map((_, id) => id).sort((a, b) => want[b] - want[a]);
      expect(top_logits.map(({ token }) => token)).toEqual(order.map((id) => text[id]));
      expect(top_logits.map(({ value }) => value)).toBeAllclose(
        order.map((id) => want[id]),
        { rtol: 1e-4, atol: 1e-5 },
      );
      expect(bottom_logits).toEqual([...top_logits].reverse());
    }
  });

  test("a direction along the norm's mean speaks for no token; ties go by token id", async () => {
    const sae = { ...saeWith(1), W_dec: new Float32Array(d).fill(5) };
    const [{ top_logits, bottom_logits }] = await latentFeatures(
      sae,
      codesOf(silence(1)),
      tokens,
      model,
      { logits: 2 },
    );
    expect(top_logits.map(({ token, value }) => [token, Math.abs(value)])).toEqual([
      ["<|endoftext|>", 0],
      ["a", 0],
    ]);
    expect(bottom_logits.map(({ token }) => token)).toEqual(["h", "g"]);
  });

  test("a model may have more ids than its tokenizer has tokens: those are not named", async () => {
    const sae = saeWith(2);
    const codes = codesOf(silence(2));
    const ids = tokens.ids.map((id) => id % 5);
    const few = { ...tokens, ids, text: text.slice(0, 5) };
    const got = await latentFeatures(sae, codes, few, model, { logits: 9 });
    const all = await latentFeatures(sae, codes, tokens, model, { logits: 9 });
    for (const [i, { top_logits }] of got.entries()) {
      const named = all[i].top_logits.filter(({ token }) => few.text.includes(token));
      expect(top_logits).toEqual(named);
    }
  });

  test.each([
    ["hook_embed", true],
    ["blocks.0.hook_attn_out", true],
    ["blocks.0.hook_mlp_out", true],
    ["blocks.0.hook_resid_mid", true],
    ["blocks.0.attn.hook_z", false],
    ["ln_final.hook_normalized", false],
  ])("%s writes to the residual stream: %j", async (hook, writes) => {
    // attn.hook_z is as wide as the residual stream without being in it
    const [{ top_logits }] = await latentFeatures(
      saeWith(1, hook),
      codesOf(silence(1)),
      tokens,
      model,
    );
    expect(top_logits).toHaveLength(writes ? 8 : 0);
  });

  test("neurons have none, whatever their number", async () => {
    const sae = saeWith(2, "blocks.0.mlp.hook_post", 16);
    const [{ top_logits, bottom_logits }] = await latentFeatures(
      sae,
      codesOf(silence(2)),
      tokens,
      model,
    );
    expect([top_logits, bottom_logits]).toEqual([[], []]);
  });
});

test("the columns come back from features.arrow as they were, and nothing is left on the engine", async () => {
  const before = tf.memory().numTensors;
  const dense = silence(3).map((row, i) => (i === 2 ? [0.5, 2, 0] : row));
  const features = await latentFeatures(saeWith(3), codesOf(dense), tokens, model, { logits: 2 });
  expect(tf.memory().numTensors).toBe(before);
  const lineage = appendLineage(freshLineage(2, "00-base"), 1, "01-wider");
  const path = at("features.arrow");
  writeArrowTable(path, featureColumns(features, lineage), { "sae_carry.sae": "resid" });
  const table = readArrow(path);
  expect(table.schema.fields.map(({ name }) => name)).toEqual([
    ...["latent", "density", "mean_activation", "max_activation", "top_contexts"],
    ...["top_logits", "bottom_logits", "lineage_stage", "lineage_parent"],
  ]);
  expect([...table.int32("latent")]).toEqual([0, 1, 2]);
  expect(table.strings("lineage_stage")).toEqual(["00-base", "00-base", "01-wider"]);
  expect([...table.int32("lineage_parent")]).toEqual([0, 1, -1]);
  for (const [i, feature] of features.entries()) {
    expect(table.float32("density")[i]).toBe(feature.density);
    expect(table.float32("max_activation")[i]).toBe(feature.max_activation);
    for (const name of ["top_contexts", "top_logits", "bottom_logits"] as const) {
      expect(table.value(name, i)).toEqual(feature[name]);
    }
  }
});

/** Codes of `tokens` that never fire. */
function silence(dSae: number): number[][] {
  return Array.from({ length: 8 }, () => new Array<number>(dSae).fill(0));
}

function withoutLogits(feature: LatentFeature): Partial<LatentFeature> {
  const { top_logits: _, bottom_logits: __, ...rest } = feature;
  return rest;
}

/** The same by searching every place for every latent. */
function naive(
  dense: readonly (readonly number[])[],
  { ids, doc, start, context }: FeatureTokens,
  contexts: number,
  before: number,
  after: number,
): Partial<LatentFeature>[] {
  return dense[0].map((_, latent) => {
    const column = dense.map((row) => row[latent]);
    const firing = column.filter((value) => value > 0);
    const places: { s: number; t: number; value: number }[] = [];
    for (let s = 0; s < doc.length; s++) {
      const own = column.slice(s * (context - 1), (s + 1) * (context - 1));
      const value = Math.max(...own);
      if (value > 0) places.push({ s, t: 1 + own.indexOf(value), value });
    }
    places.sort((a, b) => b.value - a.value || a.s - b.s);
    return {
      density: firing.length / column.length,
      mean_activation: firing.length ? firing.reduce((a, b) => a + b) / firing.length : 0,
      max_activation: Math.max(...column),
      top_contexts: places.slice(0, contexts).map(({ s, t }) => {
        const shown = [...Array(context).keys()].filter(
          (p) => p > 0 && p >= t - before && p <= t + after,
        );
        return {
          doc: doc[s],
          pos: start[s] + t - 1,
          tokens: shown.map((p) => text[ids[s * context + p]]),
          activations: shown.map((p) => column[s * (context - 1) + p - 1]),
        };
      }),
    };
  });
}

function directPath(direction: Float32Array): number[] {
  const gain = host.weights.get("transformer.ln_f.weight")!.data as Float32Array;
  const wte = host.weights.get("transformer.wte.weight")!.data as Float32Array;
  const mean = direction.reduce((a, b) => a + b) / d;
  const logits = Array.from({ length: 9 }, (_, v) => {
    let sum = 0;
    for (let i = 0; i < d; i++) sum += (direction[i] - mean) * gain[i] * wte[v * d + i];
    return sum;
  });
  const centre = logits.reduce((a, b) => a + b) / 9;
  return logits.map((logit) => logit - centre);
}
