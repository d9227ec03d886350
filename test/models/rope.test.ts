// Rotary settings: read from either form, and frequencies worked out by hand.
import { expect, test } from "vitest";
import { configFields } from "../../src/models/config-fields.ts";
import { parseRope, ropeRotary } from "../../src/models/rope.ts";

const neox = { theta: "rotary_emb_base", share: "rotary_pct", defaultShare: 0.25 };
const llama = { theta: "rope_theta" };

test("older configurations name their fields, newer ones keep all in rope_parameters", () => {
  const read = (json: object, names: typeof neox | typeof llama) =>
    parseRope(configFields(json, "x"), 64, names);
  expect(read({ rotary_emb_base: 500, rotary_pct: 0.5 }, neox)).toEqual({
    theta: 500,
    share: 0.5,
    scaling: null,
  });
  const nested = { rope_type: "default", rope_theta: 500, partial_rotary_factor: 0.5 };
  expect(read({ rope_parameters: nested }, neox)).toEqual({
    theta: 500,
    share: 0.5,
    scaling: null,
  });
  expect(read({}, neox)).toEqual({ theta: 10_000, share: 0.25, scaling: null });
  expect(read({ rope_scaling: null }, llama)).toEqual({ theta: 10_000, share: 1, scaling: null });
  expect(read({ rope_theta: 7, rope_scaling: { type: "linear", factor: 2 } }, llama)).toEqual({
    theta: 7,
    share: 1,
    scaling: { rope_type: "linear", factor: 2 },
  });
  const stretched = { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
  expect(read({ rope_parameters: { ...stretched, rope_theta: 9 } }, llama)).toEqual({
    theta: 9,
    share: 1,
    scaling: { ...stretched, original_max_position_embeddings: 64 },
  });
});

test.each(["yarn", "dynamic", "longrope", 3])("scaling of type %j is refused by name", (type) => {
  const read = (json: object) => () => parseRope(configFields(json, "config.json"), 64, llama);
  const problem = { code: "bad-model-config", got: JSON.stringify(type) };
  expect(read({ rope_scaling: { rope_type: type, factor: 2 } })).toThrow(
    expect.objectContaining({ ...problem, where: "config.json: rope_scaling: rope_type" }),
  );
  expect(read({ rope_parameters: { rope_type: type, factor: 2 } })).toThrow(
    expect.objectContaining({ ...problem, where: "config.json: rope_parameters: rope_type" }),
  );
});

test("frequencies are theta^(−2i/dims) over the share that turns", () => {
  const { frequencies } = ropeRotary({ theta: 16, share: 0.5, scaling: null }, 16);
  expect(frequencies).toBeAllclose([1, 1 / 2, 1 / 4, 1 / 8], { rtol: 1e-7, atol: 0 });
  const linear = ropeRotary(
    { theta: 16, share: 1, scaling: { rope_type: "linear", factor: 4 } },
    4,
  );
  expect(linear.frequencies).toBeAllclose([1 / 4, 1 / 16], { rtol: 1e-7, atol: 0 });
});

test("Llama 3.1's scaling keeps fast turns, divides slow ones and blends those between", () => {
  const scaling = {
    rope_type: "llama3",
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 2 * Math.PI * 10, // so a frequency f makes 10·f turns
  } as const;
  const { frequencies } = ropeRotary({ theta: 4 ** 6, share: 1, scaling }, 6);
  // 4^0 and 4^−2 and 4^−4: 10, 0.625 and 0.04 turns
  expect(frequencies).toBeAllclose([1, 1 / 16 / 8, 1 / 256 / 8], { rtol: 1e-7, atol: 0 });
  const between = ropeRotary({ theta: 4 ** 2, share: 1, scaling }, 4).frequencies[1];
  // 4^−1: 2.5 turns, half way from 1 to 4
  expect(between).toBeCloseTo((0.5 * 0.25) / 8 + 0.5 * 0.25, 7);
});

test("the same settings give the same object, as the tables of angles are kept by it", () => {
  const rope = { theta: 16, share: 1, scaling: null };
  expect(ropeRotary(rope, 8)).toBe(ropeRotary(rope, 8));
  expect(ropeRotary(rope, 4)).not.toBe(ropeRotary(rope, 8));
});
