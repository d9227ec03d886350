// Configurations of models to train from scratch: every family from the same sizes.
import { describe, expect, test } from "vitest";
import { createRng } from "../../src/engine/index.ts";
import {
  initModel,
  modelSizes,
  modelTypes,
  type NewModelSizes,
  newConfig,
  parameterShapes,
} from "../../src/models/index.ts";

const sizes: NewModelSizes = {
  vocabSize: 300,
  context: 32,
  dModel: 24,
  nLayer: 2,
  nHead: 3,
  nKvHead: 3,
  dMlp: 40,
  endOfText: 7,
};

describe.each(modelTypes)("a new %s", (type) => {
  test("has the sizes that were asked for, and weights of its family's shapes", () => {
    const config = newConfig(type, sizes);
    expect(config.model_type).toBe(type);
    const { vocabSize, context, dModel, nLayer, nHead, nKvHead, dMlp } = modelSizes(config);
    const { endOfText, ...asked } = sizes;
    expect({ vocabSize, context, dModel, nLayer, nHead, nKvHead, dMlp }).toEqual(asked);
    expect(config.eos_token_id).toBe(endOfText);
    const { weights } = initModel(config, createRng(type));
    expect([...weights.keys()]).toEqual([...parameterShapes(config).keys()]);
  });

  test("shares key heads between queries, or says that its family can't", () => {
    const shared = { ...sizes, nHead: 6, nKvHead: 2, dModel: 48 };
    if (type === "gpt2" || type === "gpt_neox") {
      expect(() => newConfig(type, shared, "plan.yaml model")).toThrowError(/kv_heads/);
    } else {
      expect(modelSizes(newConfig(type, shared))).toMatchObject({ nHead: 6, nKvHead: 2 });
    }
  });
});

test("a GPT-NeoX turns a quarter of each head, and all of it where a quarter is no even number", () => {
  const share = (dModel: number): unknown => {
    const config = newConfig("gpt_neox", { ...sizes, dModel });
    return config.model_type === "gpt_neox" ? config.rope.share : null;
  };
  expect(share(24)).toBe(0.25); // heads of 8: 2 numbers turn
  expect(share(36)).toBe(1); // heads of 12: 3 can't
  expect(share(18)).toBe(1); // heads of 6: 1 can't
});

test("a type that nobody knows is refused with those there are", () => {
  expect(() => newConfig("gpt5", sizes, "plan.yaml model")).toThrowError(/gpt5|model_type/);
});
