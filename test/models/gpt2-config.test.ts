// config.json of the GPT-2 family: what is read, what is filled in, and what is refused by name.
import { expect, test } from "vitest";
import { UsageError } from "../../src/io/index.ts";
import {
  gpt2Config,
  gpt2ConfigJson,
  parameterCount,
  parseGpt2Config,
  trainingFlopsPerToken,
} from "../../src/models/index.ts";

/** openai-community/gpt2's config.json, as it is downloaded. */
const downloaded = {
  activation_function: "gelu_new",
  architectures: ["GPT2LMHeadModel"],
  attn_pdrop: 0.1,
  bos_token_id: 50256,
  embd_pdrop: 0.1,
  eos_token_id: 50256,
  initializer_range: 0.02,
  layer_norm_epsilon: 1e-5,
  model_type: "gpt2",
  n_ctx: 1024,
  n_embd: 768,
  n_head: 12,
  n_layer: 12,
  n_positions: 1024,
  resid_pdrop: 0.1,
  summary_activation: null,
  summary_first_dropout: 0.1,
  summary_proj_to_labels: true,
  summary_type: "cls_index",
  summary_use_proj: true,
  task_specific_params: { "text-generation": { do_sample: true, max_length: 50 } },
  vocab_size: 50257,
};

const small = {
  model_type: "gpt2",
  vocab_size: 11,
  n_positions: 8,
  n_embd: 12,
  n_layer: 2,
  n_head: 3,
};

test("a downloaded GPT-2 config.json is read; n_inner, absent or null, is four times the width", () => {
  const config = parseGpt2Config(downloaded, "config.json");
  expect(config).toEqual({
    model_type: "gpt2",
    architectures: ["GPT2LMHeadModel"],
    vocab_size: 50257,
    n_positions: 1024,
    n_embd: 768,
    n_layer: 12,
    n_head: 12,
    n_inner: 3072,
    layer_norm_epsilon: 1e-5,
    activation_function: "gelu_new",
    tie_word_embeddings: true,
    bos_token_id: 50256,
    eos_token_id: 50256,
  });
  expect(parseGpt2Config({ ...small, n_inner: null }, "config.json").n_inner).toBe(48);
  expect(parseGpt2Config({ ...small, n_inner: 7 }, "config.json").n_inner).toBe(7);
});

test("GPT-2's parameters are counted as its authors count them", () => {
  expect(parameterCount(parseGpt2Config(downloaded, "config.json"))).toBe(124_439_808);
});

test("parameters and training operations of a small model, by hand", () => {
  const config = gpt2Config({ ...small, n_inner: 20 });
  const block = 2 * 24 + (12 * 36 + 36) + (12 * 12 + 12) + (12 * 20 + 20) + (20 * 12 + 12);
  expect(parameterCount(config)).toBe(11 * 12 + 8 * 12 + 2 * block + 24);
  const weights = 2 * (12 * 36 + 12 * 12 + 2 * 12 * 20) + 11 * 12;
  expect(trainingFlopsPerToken(config, 5)).toBe(6 * weights + 12 * 2 * 12 * 5);
});

test("what is written reads back as the same configuration", () => {
  const config = gpt2Config({ ...small, n_inner: 5, layer_norm_epsilon: 1e-3, end_of_text: 10 });
  expect(parseGpt2Config(JSON.parse(JSON.stringify(gpt2ConfigJson(config))), "x")).toEqual(config);
  expect(config).toMatchObject({ bos_token_id: 10, eos_token_id: 10, n_inner: 5 });
});

test.each([
  ["n_embd", 0],
  ["n_embd", 12.5],
  ["n_embd", "12"],
  ["n_embd", undefined],
  ["n_embd", 2 ** 25],
  ["n_layer", -1],
  ["n_head", Number.NaN],
  ["n_positions", null],
  ["vocab_size", []],
  ["n_inner", 0],
  ["n_head", 5],
  ["layer_norm_epsilon", 0],
  ["layer_norm_epsilon", "1e-5"],
  ["layer_norm_epsilon", Number.POSITIVE_INFINITY],
  ["activation_function", "relu"],
  ["tie_word_embeddings", false],
  ["scale_attn_weights", false],
  ["scale_attn_by_inverse_layer_idx", true],
  ["add_cross_attention", true],
  ["bos_token_id", 11],
  ["eos_token_id", -1],
  ["eos_token_id", 0.5],
])("%s of %j is refused by name", (field, value) => {
  const error = problemOf({ ...small, [field]: value });
  expect(error).toMatchObject({ code: "bad-model-config", where: `dir/config.json: ${field}` });
  expect(error.got).toBe(JSON.stringify(value) ?? "nothing");
});

test.each([["gpt_neox"], [undefined], [null]])("a model of type %j is refused", (model_type) => {
  expect(problemOf({ ...small, model_type })).toMatchObject({
    code: "unsupported-architecture",
    where: "dir/config.json: model_type",
  });
});

test.each([[null], [[]], ["gpt2"], [3]])("%j is no configuration", (json) => {
  expect(problemOf(json)).toMatchObject({ where: "dir/config.json", expected: "a JSON object" });
});

function problemOf(json: unknown): UsageError {
  try {
    parseGpt2Config(json, "dir/config.json");
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error("it was accepted");
}
