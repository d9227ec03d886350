import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import {
  featureColumns,
  freshLineage,
  latentFeatures,
  type Sae,
  type SparseCodes,
  saeConfig,
} from "../../sae/index.ts";
import { createRng, useBackend } from "../../src/engine/index.ts";
import { readArrow, writeArrowTable } from "../../src/io/index.ts";
import { gpt2Config, initGpt2, type Model, placeModel } from "../../src/models/index.ts";

// Two sequences of 4 tokens of which the first has no row; three latents, the last one dead:
//   rows 0–2 (sequence 0): latent 0 fires 1, 5, –; latent 1 fires –, –, 2
//   rows 3–5 (sequence 1): latent 0 fires 3, –, –
const codes: SparseCodes = {
  nTokens: 6,
  dSae: 3,
  rowStart: Int32Array.of(0, 1, 2, 3, 4, 4, 4),
  latent: Int32Array.of(0, 0, 1, 0),
  value: Float32Array.of(1, 5, 2, 3),
};
const text = ["<|endoftext|>", "a", "b", "c", "d"];
const tokens = {
  ids: Int32Array.of(0, 1, 2, 3, 0, 4, 4, 1),
  doc: Int32Array.of(7, 9),
  start: Int32Array.of(0, 12),
  context: 4,
  skip: 1,
  text,
};
const d = 2;
const sae: Sae = {
  cfg: saeConfig({ architecture: "topk", d_in: d, d_sae: 3, k: 1, hook_name: "hook_embed" }),
  W_enc: new Float32Array(6),
  b_enc: new Float32Array(3),
  W_dec: Float32Array.of(1, 0, 0, 1, 1, 1),
  b_dec: new Float32Array(2),
  threshold: null,
};
let model: Model;

beforeAll(async () => {
  await useBackend("wasm");
  const config = gpt2Config({ vocab_size: 5, n_positions: 4, n_embd: d, n_layer: 1, n_head: 1 });
  const host = initGpt2(config, createRng(1));
  // unembedding rows (0,0), (1,0), (2,0), (0,3), (−3,−3); gain (1, 2)
  (host.weights.get("transformer.wte.weight")?.data as Float32Array).set([
    0, 0, 1, 0, 2, 0, 0, 3, -3, -3,
  ]);
  (host.weights.get("transformer.ln_f.weight")?.data as Float32Array).set([1, 2]);
  model = placeModel(host);
});

test("density, mean and maximum are over the rows on which a latent fires", async () => {
  const [first, second, dead] = await latentFeatures(sae, codes, tokens, model);
  expect(first.density).toBeCloseTo(0.5);
  expect(first.mean_activation).toBeCloseTo(3);
  expect(first.max_activation).toBe(5);
  expect([second.density, second.mean_activation, second.max_activation]).toEqual([1 / 6, 2, 2]);
  expect([dead.density, dead.mean_activation, dead.max_activation]).toEqual([0, 0, 0]);
  expect(dead.top_contexts).toEqual([]);
});

test("contexts are the strongest firings, one of a sequence, with tokens and activations around them", async () => {
  const [first, second] = await latentFeatures(sae, codes, tokens, model);
  expect(first.top_contexts).toEqual([
    // row 1 is the third token of sequence 0, the second token of document 7
    { doc: 7, pos: 1, tokens: ["a", "b", "c"], activations: [1, 5, 0] },
    { doc: 9, pos: 12, tokens: ["d", "d", "a"], activations: [3, 0, 0] },
  ]);
  expect(second.top_contexts).toEqual([
    { doc: 7, pos: 2, tokens: ["a", "b", "c"], activations: [0, 0, 2] },
  ]);
});

test("fewer contexts and narrower windows can be asked for; the maximum stays", async () => {
  const [first] = await latentFeatures(sae, codes, tokens, model, {
    contexts: 1,
    before: 0,
    after: 1,
  });
  expect(first.top_contexts).toEqual([{ doc: 7, pos: 1, tokens: ["b", "c"], activations: [5, 0] }]);
  const [none] = await latentFeatures(sae, codes, tokens, model, { contexts: 0 });
  expect(none.top_contexts).toEqual([]);
  expect(none.max_activation).toBe(5);
});

test("token logits are the centred direction through the final gain and the unembedding, centred", async () => {
  const [first, second] = await latentFeatures(sae, codes, tokens, model, { logits: 2 });
  // (1, 0) centred is (.5, −.5), times the gain (.5, −1): logits 0, .5, 1, −3, 1.5, of mean 0
  expect(first.top_logits).toEqual([
    { token: "d", value: 1.5 },
    { token: "b", value: 1 },
  ]);
  expect(first.bottom_logits[0]).toEqual({ token: "c", value: -3 });
  // (0, 1) becomes (−.5, 1): logits 0, −.5, −1, 3, −1.5
  expect(second.top_logits[0]).toEqual({ token: "c", value: 3 });
  expect(second.bottom_logits[0]).toEqual({ token: "d", value: -1.5 });
});

test("latents outside the residual stream have no token logits", async () => {
  const wide: Sae = {
    ...sae,
    cfg: { ...sae.cfg, d_in: 8, hook_name: "blocks.0.mlp.hook_post" },
    W_dec: new Float32Array(24),
  };
  const [first] = await latentFeatures(wide, codes, tokens, model);
  expect([first.top_logits, first.bottom_logits]).toEqual([[], []]);
});

test("the table reads back from Arrow", async () => {
  const features = await latentFeatures(sae, codes, tokens, model, { logits: 1 });
  const path = join(mkdtempSync(join(tmpdir(), "sae-carry-features-")), "features.arrow");
  writeArrowTable(path, featureColumns(features, freshLineage(3, "00-base")));
  const table = readArrow(path);
  expect(table.schema.fields.map(({ name }) => name)).toEqual([
    "latent",
    "density",
    "mean_activation",
    "max_activation",
    "top_contexts",
    "top_logits",
    "bottom_logits",
    "lineage_stage",
    "lineage_parent",
  ]);
  expect([...table.int32("latent")]).toEqual([0, 1, 2]);
  expect(table.float32("max_activation")).toBeAllclose([5, 2, 0]);
  expect([...table.int32("lineage_parent")]).toEqual([-1, -1, -1]);
});
