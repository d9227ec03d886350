// What width methods say of themselves: reported where one isn't exact, refused where it can't be. That they are exact
// where they say so is in exact-f64.test.ts and ../verification.test.ts.
import { beforeAll, describe, expect, test } from "vitest";
import { widthMethodNames } from "../../../cli/plan/growth-methods.ts";
import { createRng, useBackend } from "../../../src/engine/index.ts";
import {
  type ExpandOptions,
  expandModel,
  growthMethods,
  measureExactness,
  parseGrowth,
  planExpansion,
  type WidthMethodName,
  widthMethods,
} from "../../../src/expansion/index.ts";
import { UsageError } from "../../../src/io/index.ts";
import { placeModel } from "../../../src/models/index.ts";
import { testBackend } from "../../support/backend.ts";
import { everyFamily, roughModel, roughVocabulary } from "../../support/rough-models.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const names = Object.keys(widthMethods) as WidthMethodName[];
const tokens = createRng("tokens");
const ids = Int32Array.from({ length: 3 * 15 }, () => tokens.int(roughVocabulary));

async function grown(family: string, options: Partial<ExpandOptions>) {
  const parent = roughModel(everyFamily[family], family);
  const { child, map } = await expandModel(
    parent,
    {
      method: "lemon",
      depth_method: "identity",
      positions: "interleaved",
      noise_db: 0,
      ...options,
    },
    createRng(family),
  );
  const [small, big] = [placeModel(parent), placeModel(child)];
  const exactness = await measureExactness(small, big, map, ids, 3);
  small.dispose();
  big.dispose();
  return { map, child, exactness };
}

test("plans and flags take every method that there is", () => {
  expect([...widthMethodNames]).toEqual(Object.keys(growthMethods));
});

describe("what a method can't do", () => {
  const problem = (family: string, flags: Parameters<typeof parseGrowth>[0]): UsageError => {
    try {
      parseGrowth(flags, everyFamily[family]);
    } catch (error) {
      if (error instanceof UsageError) return error;
      throw error;
    }
    throw new Error("it was accepted");
  };

  test("hypercloning grows by whole multiples: others are refused with the nearest, factors rounded", () => {
    const cases = [
      [{ width: 40 }, "--width", "The nearest are 30 and 60"],
      [{ mlp: 100 }, "--mlp", "The nearest are 82 and 123"],
    ] as const;
    for (const [sizes, where, hint] of cases) {
      const error = problem("gpt2", { ...sizes, method: "hypercloning" });
      expect(error).toMatchObject({ code: "method-multiples", where });
      expect(error.hint).toContain(hint);
    }
    expect(problem("mistral", { heads: 6, method: "hypercloning" })).toMatchObject({
      code: "method-multiples",
      where: "--heads",
    });
    const { options, notes } = parseGrowth(
      { width: "1.6x", method: "hypercloning" },
      everyFamily.gpt2,
    );
    expect(options.width).toBe(60);
    expect(notes.join()).toContain("60 is the nearest that hypercloning allows");
  });

  test("zeros can't widen a stream under LayerNorm, but its MLP", () => {
    for (const family of ["gpt2", "neox"]) {
      expect(problem(family, { width: 60, method: "gesmundo-maile" })).toMatchObject({
        code: "method-norm",
        where: "--method",
      });
      const { options } = parseGrowth({ mlp: 50, method: "gesmundo-maile" }, everyFamily[family]);
      expect(options).toMatchObject({ method: "gesmundo-maile", mlp: 50 });
    }
  });

  test.each(["net2net", "bert2bert-fpi", "bert2bert-aki"] as const)(
    "%s says that it isn't exact at an uneven width, and it isn't",
    async (method) => {
      for (const family of ["gpt2", "llama"]) {
        const width = family === "gpt2" ? 40 : 44;
        const { map, exactness } = await grown(family, { method, width });
        expect(map.exact).toBe(false);
        expect(exactness.max_abs_dlogit).toBeGreaterThan(1e-3);
        expect(exactness.kl).toBeGreaterThan(1e-6);
        const { notes } = parseGrowth({ width, method }, everyFamily[family]);
        expect(notes.join()).toContain(`${method} is not exact: `);
      }
    },
  );

  test("deeper only is exact under any method", () => {
    for (const method of names) {
      const { map } = planExpansion(
        everyFamily.gpt2,
        { method, depth_method: "identity", positions: "top", noise_db: 0, layers: 3 },
        createRng(1),
      );
      expect(map).toMatchObject({ exact: true, method: "identity" });
    }
  });
});
