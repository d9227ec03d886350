// Plans from untrusted files: what is refused, and that the message names file, line and key.
import { describe, expect, test } from "vitest";
import { parsePlan } from "../../../cli/plan/parse.ts";
import { UsageError } from "../../../src/io/index.ts";

function problemOf(text: string): UsageError {
  try {
    parsePlan(text, "plan.yaml");
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return error as UsageError;
  }
  throw new Error("the plan was accepted");
}

describe("parsePlan", () => {
  test("an empty file is a plan of defaults", () => {
    expect(parsePlan("", "plan.yaml")).toEqual({});
    expect(parsePlan("# nothing\n", "plan.yaml")).toEqual({});
  });

  test("an increment stays text though YAML reads +2 as the number 2", () => {
    const { stages } = parsePlan(
      "stages:\n  - expand: {layers: +2, width: 1.5x, mlp: 512}",
      "plan.yaml",
    );
    expect(stages?.[0].expand).toEqual({ layers: "+2", width: "1.5x", mlp: 512 });
  });

  test("JSON is YAML", () => {
    expect(parsePlan('{"seed": 3, "model": {"mlp": "4x"}}', "plan.json")).toEqual({
      seed: 3,
      model: { mlp: "4x" },
    });
  });

  test("an unknown key names its line and the key that was meant", () => {
    const error = problemOf("seed: 1\nmodel:\n  d_model: 64\n  head: 4\n");
    expect(error.code).toBe("plan-unknown-key");
    expect(error.where).toBe("plan.yaml:4 model.head");
    expect(error.hint).toBe("did you mean `heads`?");
  });

  test("spelling, dashes and capitals of a key are seen through", () => {
    expect(problemOf("sed: 1").hint).toBe("did you mean `seed`?");
    expect(problemOf("model: {d-model: 3}").hint).toBe("did you mean `d_model`?");
    expect(problemOf("saes: [{D_SAE: 3}]").hint).toBe("did you mean `d_sae`?");
    expect(problemOf("stages: [{expand: {widht: 3}}]").hint).toBe("did you mean `width`?");
  });

  test("a key in the wrong section is told where it belongs", () => {
    expect(problemOf("d_sae: 768").hint).toBe("`d_sae` belongs under `saes[]`");
    expect(problemOf("saes: [{vocab_size: 5}]").hint).toBe(
      "`vocab_size` belongs under `tokenizer`",
    );
    expect(problemOf("eval: {batch_tokens: 64}").hint).toBe(
      "`batch_tokens` belongs under `model.train`",
    );
  });

  test("a key that resembles nothing gets the list of keys", () => {
    const error = problemOf("frobnicate: 1");
    expect(error.hint).toBeUndefined();
    expect(error.expected).toContain("stages");
  });

  test("a repeated key is refused, not silently the last one", () => {
    const error = problemOf("seed: 1\nbackend: wasm\nseed: 2\n");
    expect(error.code).toBe("plan-duplicate-key");
    expect(error.where).toBe("plan.yaml:3");
  });

  test("malformed YAML names its line", () => {
    const error = problemOf("seed: 1\nmodel: {d_model: 64\n");
    expect(error.code).toBe("plan-malformed");
    expect(error.where).toMatch(/^plan\.yaml:\d+$/);
  });

  test("a value of the wrong kind says what was expected and what is there", () => {
    const error = problemOf("saes:\n  - k: 16\n  - k: sixteen\n");
    expect(error.where).toBe("plan.yaml:3 saes[1].k");
    expect(error.expected).toBe("a whole number");
    expect(error.got).toBe('"sixteen"');
  });

  test("values out of range, and lists where keys belong", () => {
    expect(problemOf("seed: -1").expected).toBe("at least 0");
    expect(problemOf("seed: 1.5").expected).toBe("a whole number");
    expect(problemOf("data: {held_out: 1}").expected).toBe("less than 1");
    expect(problemOf("backend: cuda").expected).toContain("wasm");
    expect(problemOf("data: [1]").expected).toBe("keys and values");
    expect(problemOf("[]").expected).toBe("keys and values");
    expect(problemOf("version: 2").expected).toBe("one of 1");
    expect(problemOf("seed: .nan").got).toBe("null");
  });

  test("a growth that is neither a size, a factor nor an increment lists all three", () => {
    const { expected, where } = problemOf("stages:\n- expand:\n    width: wide\n");
    expect(where).toBe("plan.yaml:3 stages[0].expand.width");
    expect(expected).toContain("a factor such as 1.5x");
    expect(expected).toContain("an increment such as +2");
  });

  test("names that would leave their folder are refused", () => {
    for (const name of ["../x", "a/b", ".hidden", "", "a\u0000b", "x".repeat(65)]) {
      expect(problemOf(`saes: [{name: ${JSON.stringify(name)}}]`).code).toBe("plan-bad-value");
    }
  });

  test("several problems: the first is told, the others are counted", () => {
    expect(problemOf("seed: a\nmodel: {d_model: b, heads: c}").hint).toBe(
      "2 more problems after it",
    );
  });

  test("aliases that blow up, unknown tags and hostile keys are refused", () => {
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n`;
    expect(problemOf(bomb).code).toMatch(/^plan-/);
    expect(problemOf("seed: !!js/function 'f'").code).toBe("plan-malformed");
    expect(problemOf("__proto__: {seed: 1}").code).toBe("plan-unknown-key");
    expect(({} as { seed?: number }).seed).toBeUndefined();
    expect(problemOf("? [1, 2]\n: 3").code).toMatch(/^plan-/);
  });
});
