// LiGO on real text: learning lowers the loss of the grown model, the same seed gives the same child, the map says what
// it is, and transformers computes the same logits from what is written.
import { beforeAll, describe, expect, test } from "vitest";
import { spreadSequences, type TokenizedCorpus, trainingBatch } from "../../../src/data/index.ts";
import { createRng, tf, useBackend } from "../../../src/engine/index.ts";
import {
  type ExpandOptions,
  expandModel,
  type GrowthText,
  hookEntry,
  type LearnStep,
  mapVectors,
  measureExactness,
  parseGrowth,
  planExpansion,
  plannedMap,
  pullBack,
  readMap,
  writeMap,
} from "../../../src/expansion/index.ts";
import {
  activationsAt,
  createLmTrainer,
  forwardLogits,
  gpt2Config,
  type HostModel,
  initModel,
  llamaConfig,
  lmTrainDefaults,
  type ModelConfig,
  neoxConfig,
  placeModel,
  saveModel,
} from "../../../src/models/index.ts";
import { testBackend } from "../../support/backend.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { python } from "../../support/python.ts";
import { realText } from "../../support/real-text.ts";

const at = temporaryFolder();
const context = 16;
const vocabulary = 300;
const options: ExpandOptions = {
  method: "ligo",
  depth_method: "stack",
  positions: "interleaved",
  noise_db: null,
  ligo: { steps: 30, lr: 0.02, batchTokens: 512 },
};

const sizes = { vocab_size: vocabulary, num_hidden_layers: 2, max_position_embeddings: context };
const rope = { theta: 1000, share: 1, scaling: null };
const bases: Readonly<Record<string, ModelConfig>> = {
  gpt2: gpt2Config({
    vocab_size: vocabulary,
    n_positions: context,
    n_embd: 12,
    n_layer: 2,
    n_head: 3,
  }),
  neox: neoxConfig({
    ...sizes,
    hidden_size: 12,
    num_attention_heads: 3,
    intermediate_size: 30,
    rope: { ...rope, share: 0.5 },
  }),
  llama: llamaConfig({
    ...sizes,
    hidden_size: 12,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 4,
    intermediate_size: 30,
    rope,
  }),
};
/** Indivisible widths, half as many heads or groups more, three layers. */
const growths: Readonly<Record<string, Partial<ExpandOptions>>> = {
  gpt2: { width: 20, mlp: 53, layers: 3 },
  neox: { width: 20, mlp: 41, layers: 3 },
  llama: { width: 18, heads: 6, mlp: 41, layers: 3 },
};

const brief = { steps: 2, batchTokens: 64 };

let corpus: TokenizedCorpus;
let text: GrowthText;
const parents = new Map<string, HostModel>();

beforeAll(async () => {
  await useBackend(testBackend);
  corpus = await realText({ context, vocabulary, maxTokens: 40_000 });
  text = { train: corpus.train, heldOut: spreadSequences(corpus.heldOut, 64) };
  for (const [name, config] of Object.entries(bases)) {
    const steps = 120;
    const rng = createRng(name);
    const start = initModel(config, rng.fork("start"));
    const trainer = createLmTrainer(start, { ...lmTrainDefaults, steps, lr: 1e-2 });
    for (let step = 0; step < steps; step++) {
      await trainer.step({ ids: trainingBatch(corpus.train, 16, step, rng), context });
    }
    parents.set(name, await trainer.model());
    trainer.dispose();
  }
});

const grow = (name: string, more: Partial<ExpandOptions> = {}, seed = 1) =>
  expandModel(parents.get(name)!, { ...options, ...growths[name], ...more }, createRng(seed), text);

describe.each(Object.keys(bases))("%s", (name) => {
  test("learning lowers the held-out loss, far below fresh weights", async () => {
    const tensors = tf.memory().numTensors;
    const { map } = await grow(name);
    expect(tf.memory().numTensors).toBe(tensors);
    const { loss, steps, tokens, held_out_tokens } = map.learned!;
    expect([steps, tokens, held_out_tokens]).toEqual([30, 30 * 512, 64 * 15]);
    const [before, after] = [loss.start - loss.parent, loss.learned - loss.parent];
    expect(before).toBeGreaterThan(0.05);
    expect(after).toBeLessThan(before / 2);
    expect(loss.learned).toBeLessThan(loss.scratch - 1);
  });

  test("the embeddings are E of the parent's, and nothing above is claimed", async () => {
    const { child, map } = await grow(name, { ligo: brief });
    expect(map.exact).toBe(false);
    const [small, big] = [placeModel(parents.get(name)!), placeModel(child)];
    const ids = text.heldOut.ids.subarray(0, 8 * context);
    const rows = tf.tidy(() => ({
      small: activationsAt(small, ids, 8, "hook_embed").dataSync() as Float32Array,
      big: activationsAt(big, ids, 8, "hook_embed").dataSync() as Float32Array,
    }));
    expect(rows.big).toBeAllclose(mapVectors(map, "residual", rows.small), { atol: 1e-5 });
    expect(pullBack(map, "residual", rows.big)).toBeAllclose(rows.small, { atol: 1e-5 });
    const { boundaries } = await measureExactness(small, big, map, ids, 8);
    for (const { hook_from, rel_err } of boundaries) {
      const claims = hookEntry(map, hook_from)?.exact;
      expect(claims, hook_from).toBe(hook_from === "blocks.0.hook_resid_pre");
      if (claims) expect(rel_err).toBeLessThan(1e-5);
      else expect(rel_err).toBeGreaterThan(1e-3);
    }
    small.dispose();
    big.dispose();
  });
});

test("the same seed gives the same child, another seed another", async () => {
  const [a, b, c] = [
    await grow("gpt2", { ligo: brief }),
    await grow("gpt2", { ligo: brief }),
    await grow("gpt2", { ligo: brief }, 2),
  ];
  expect(a.child).toEqual(b.child);
  expect(a.map).toEqual(b.map);
  expect(a.child).not.toEqual(c.child);
});

test("every step is reported, with the loss of its batch", async () => {
  const steps: LearnStep[] = [];
  const onStep = (step: LearnStep) => steps.push(step);
  const wanted = { ...options, ...growths.gpt2, ligo: { steps: 3, batchTokens: 64 } };
  await expandModel(parents.get("gpt2")!, wanted, createRng(1), { ...text, onStep });
  expect(steps.map(({ step }) => step)).toEqual([1, 2, 3]);
  for (const { loss } of steps) expect(Math.abs(loss - 4)).toBeLessThan(2);
});

test("depth alone keeps the width, and the map is the identity", async () => {
  const only = { width: undefined, mlp: undefined, layers: 5, ligo: brief };
  const { child, map } = await grow("gpt2", only);
  expect(map.linear.size).toBe(0);
  expect(map.layers).toEqual([
    [0, 2, 4],
    [1, 3],
  ]);
  expect(child.weights.has("transformer.h.4.mlp.c_fc.weight")).toBe(true);
});

test("the map is read as it was written, losses and all", async () => {
  const { map } = await grow("llama", { ligo: brief });
  writeMap(at("map"), map);
  const read = readMap(at("map"));
  expect(read).toEqual({
    ...map,
    heads: read.heads, // shares are written as f32
    neurons: read.neurons,
  });
  expect([...read.heads[0].source]).toEqual([0, 1, 2, 3, -1, -1]);
});

describe("what is asked for", () => {
  const { gpt2 } = bases;

  test("text is needed, and other methods' plans are not made", async () => {
    const parent = initModel(gpt2, createRng(1));
    const wanted = { ...options, width: 20 };
    await expect(expandModel(parent, wanted, createRng(1))).rejects.toThrow(
      expect.objectContaining({ code: "text-needed", where: "--text" }),
    );
    expect(() => planExpansion(gpt2, wanted, createRng(1))).toThrow("internal: ligo learns");
    expect(plannedMap(gpt2, wanted, createRng(1))).toMatchObject({
      method: "ligo",
      exact: false,
      child: { d_model: 20, n_head: 5 },
    });
  });

  test("flags become settings, with the defaults of the library", () => {
    const parsed = parseGrowth({ width: "1.5x", method: "ligo", "ligo-steps": "7" }, gpt2);
    expect(parsed.options).toMatchObject({ method: "ligo", ligo: { steps: 7, lr: 0.01 } });
    expect(parsed.notes.join()).toContain("ligo is not exact");
    expect(parseGrowth({ width: "1.5x" }, gpt2).options.ligo).toBeUndefined();
  });

  test.each([
    [{ "ligo-steps": 0 }, "--ligo-steps"],
    [{ "ligo-steps": 1.5 }, "--ligo-steps"],
    [{ "ligo-lr": "fast" }, "--ligo-lr"],
    [{ "ligo-lr": 0 }, "--ligo-lr"],
    [{ "depth-method": "solar", layers: 4 }, "--depth-method"],
    [{ positions: "top", layers: 3 }, "--positions"],
  ])("%o is refused", (flags, where) => {
    expect(() => parseGrowth({ width: 20, method: "ligo", ...flags }, gpt2)).toThrow(
      expect.objectContaining({ where }),
    );
  });
});

const script = `
import sys, json, numpy as np, torch
from transformers import AutoModelForCausalLM
ids = torch.arange(48).reshape(3, 16) ** 2 % 300
logits = []
for folder in json.loads(sys.argv[1]):
    model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    with torch.no_grad():
        logits.append(model(ids).logits.flatten().tolist())
print(json.dumps(logits))
`;

python.test("a written child has the same logits in transformers as here", async (run) => {
  const ids = Int32Array.from({ length: 48 }, (_, i) => (i * i) % 300);
  const ours: Float32Array[] = [];
  for (const name of Object.keys(bases)) {
    const { child } = await grow(name, { ligo: brief });
    saveModel(at(name), child);
    const model = placeModel(child);
    ours.push(tf.tidy(() => forwardLogits(model, ids, 3).dataSync()) as Float32Array);
    model.dispose();
  }
  const folders = JSON.stringify(Object.keys(bases).map((name) => at(name)));
  const theirs = JSON.parse(await run(script, [folders])) as number[][];
  ours.forEach((logits, i) => {
    expect(logits).toBeAllclose(theirs[i], { rtol: 1e-4, atol: 1e-4 });
  });
});
