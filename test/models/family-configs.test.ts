// config.json of the GPT-NeoX and Llama families: what is read and written, and what is refused by name.
import { describe, expect, test } from "vitest";
import { UsageError } from "../../src/io/index.ts";
import {
  familyTitle,
  llamaConfigJson,
  type ModelConfig,
  modelSizes,
  neoxConfigJson,
  parameterCount,
  parseConfig,
} from "../../src/models/index.ts";
import { roughConfigs } from "../support/rough-models.ts";

/** EleutherAI/pythia-70m's sizes, as its config.json has them. */
const pythia = {
  architectures: ["GPTNeoXForCausalLM"],
  bos_token_id: 0,
  eos_token_id: 0,
  hidden_act: "gelu",
  hidden_size: 512,
  initializer_range: 0.02,
  intermediate_size: 2048,
  layer_norm_eps: 1e-5,
  max_position_embeddings: 2048,
  model_type: "gpt_neox",
  num_attention_heads: 8,
  num_hidden_layers: 6,
  rotary_emb_base: 10000,
  rotary_pct: 0.25,
  tie_word_embeddings: false,
  torch_dtype: "float16",
  use_cache: true,
  use_parallel_residual: true,
  vocab_size: 50304,
};

/** TinyLlama's sizes. */
const tinyLlama = {
  attention_bias: false,
  bos_token_id: 1,
  eos_token_id: 2,
  hidden_act: "silu",
  hidden_size: 2048,
  intermediate_size: 5632,
  max_position_embeddings: 2048,
  model_type: "llama",
  num_attention_heads: 32,
  num_hidden_layers: 22,
  num_key_value_heads: 4,
  pretraining_tp: 1,
  rms_norm_eps: 1e-5,
  rope_scaling: null,
  rope_theta: 10000.0,
  tie_word_embeddings: false,
  vocab_size: 32000,
};

test("Pythia's and TinyLlama's configurations are read, and their parameters counted", () => {
  const small = parseConfig(pythia, "x");
  expect(modelSizes(small)).toEqual({
    dModel: 512,
    nLayer: 6,
    nHead: 8,
    nKvHead: 8,
    headDim: 64,
    dMlp: 2048,
    experts: null,
    vocabSize: 50304,
    context: 2048,
    tied: false,
    normEps: 1e-5,
  });
  expect(parameterCount(small)).toBe(70_426_624);
  expect(familyTitle(small)).toBe("GPT-NeoX");
  const tiny = parseConfig(tinyLlama, "x");
  expect(modelSizes(tiny)).toMatchObject({ nHead: 32, nKvHead: 4, headDim: 64 });
  expect(parameterCount(tiny)).toBe(1_100_048_384);
});

test.each(Object.entries(roughConfigs))("%s: what is written reads back the same", (_, config) => {
  const json = (c: ModelConfig): unknown =>
    c.model_type === "gpt_neox" ? neoxConfigJson(c) : llamaConfigJson(c as never);
  expect(parseConfig(JSON.parse(JSON.stringify(json(config))), "x")).toEqual(config);
});

describe("what the models here don't compute is refused by name", () => {
  test.each([
    [pythia, "hidden_act", "relu"],
    [pythia, "num_attention_heads", 7],
    [pythia, "rotary_pct", 0.05],
    [pythia, "rotary_pct", 0.02],
    [pythia, "rotary_pct", 2],
    [pythia, "use_parallel_residual", "yes"],
    [pythia, "layer_norm_eps", 0],
    [pythia, "bos_token_id", 50304],
    [pythia, "intermediate_size", undefined],
    [tinyLlama, "hidden_act", "gelu"],
    [tinyLlama, "num_key_value_heads", 5],
    [tinyLlama, "head_dim", 63],
    [tinyLlama, "partial_rotary_factor", 0.5],
    [tinyLlama, "rms_norm_eps", "1e-5"],
    [tinyLlama, "eos_token_id", [2, 32000]],
    [tinyLlama, "attention_bias", 1],
    [{ ...tinyLlama, model_type: "mistral" }, "sliding_window", 2047],
    [
      { ...tinyLlama, model_type: "mistral", max_position_embeddings: 4097 },
      "sliding_window",
      undefined,
    ],
    [{ ...tinyLlama, model_type: "qwen2", use_sliding_window: true }, "sliding_window", 1024],
    [{ ...tinyLlama, model_type: "qwen3" }, "num_key_value_heads", undefined],
  ])("%# %s", (base, field, value) => {
    const error = problemOf({ ...base, [field]: value });
    expect(error).toMatchObject({ code: "bad-model-config", where: `config.json: ${field}` });
    expect(error.got).toBe(JSON.stringify(value) ?? "nothing");
  });

  test.each(["bloom", "qwen3_moe", "gemma", undefined])("a model of type %j", (model_type) => {
    expect(problemOf({ ...tinyLlama, model_type })).toMatchObject({
      code: "unsupported-architecture",
      where: "config.json: model_type",
      expected: expect.stringContaining('"gpt_neox"'),
    });
  });
});

test("windows that the context can't outgrow change nothing and are let through", () => {
  const read = (fields: object) =>
    modelSizes(parseConfig({ ...tinyLlama, ...fields }, "x")).context;
  expect(read({ model_type: "mistral", sliding_window: null })).toBe(2048);
  expect(read({ model_type: "mistral", sliding_window: 2048 })).toBe(2048);
  expect(read({ model_type: "mistral" })).toBe(2048); // 4096 unless told otherwise
  expect(read({ model_type: "qwen2", sliding_window: 16 })).toBe(2048); // not in use
});

function problemOf(json: unknown): UsageError {
  try {
    parseConfig(json, "config.json");
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error("it was accepted");
}
