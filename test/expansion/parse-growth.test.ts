import { describe, expect, it } from "vitest";
import { identityDepth } from "../../src/expansion/depth/identity.ts";
import { childConfig, type GrowthFlags, parseGrowth } from "../../src/expansion/index.ts";
import { UsageError } from "../../src/io/index.ts";
import { gpt2Config } from "../../src/models/index.ts";
import { roughConfigs } from "../support/rough-models.ts";

const parent = gpt2Config({
  vocab_size: 100,
  n_positions: 32,
  n_embd: 64,
  n_head: 4,
  n_layer: 2,
  n_inner: 256,
});
const child = (flags: GrowthFlags) => childConfig(parent, parseGrowth(flags, parent).options);
const problem = (flags: GrowthFlags): UsageError => {
  try {
    parseGrowth(flags, parent);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
};

describe("parseGrowth", () => {
  it("reads absolute sizes, factors and increases", () => {
    expect(child({ width: "96" })).toMatchObject({ n_embd: 96, n_head: 6, n_inner: 384 });
    expect(child({ width: "1.5x" })).toMatchObject({ n_embd: 96, n_head: 6, n_inner: 384 });
    expect(child({ width: "+16", mlp: "2x" })).toMatchObject({ n_embd: 80, n_inner: 512 });
    expect(child({ layers: "+2" })).toMatchObject({ n_embd: 64, n_layer: 4, n_inner: 256 });
    expect(child({ layers: 3, mlp: 300 })).toMatchObject({ n_layer: 3, n_inner: 300 });
    expect(child({ heads: "6" })).toMatchObject({ n_embd: 96, n_head: 6 });
  });

  it("reads the sizes within and beside the heads, and says what follows", () => {
    expect(child({ "head-dim": "1.5x" })).toMatchObject({ n_embd: 96, n_head: 4 });
    expect(child({ "head-dim": 20, heads: 5 })).toMatchObject({ n_embd: 100, n_head: 5 });
    expect(child({ vocab: "+3" })).toMatchObject({ vocab_size: 103, n_embd: 64 });
    expect(parseGrowth({ "head-dim": 20 }, parent).notes).toEqual([
      "width follows the heads: 4 heads of 20 make 80",
      "the MLP keeps its ratio to the width: 320 neurons",
    ]);
    const notes = (name: string, flags: GrowthFlags) =>
      parseGrowth(flags, roughConfigs[name]).notes.join();
    expect(notes("llama", { "head-dim": 9 + 1 })).toMatch(
      /^rope_theta becomes 31498\.\d+: heads of 10/,
    );
    expect(notes("llama", { "head-dim": "2x" })).toBe("");
    expect(notes("neox", { "head-dim": 16 })).toContain("rotary_pct becomes 0.25");
    expect(notes("qwen3", { vocab: 70 })).toContain("logits of the old tokens stay exactly");
    const { options } = parseGrowth({ width: "1.3x", "head-dim": 20 }, parent);
    expect(options.width).toBe(80);
  });

  it("rounds a relative width to what heads allow and says so", () => {
    const { options, notes } = parseGrowth({ width: "1.3x" }, parent);
    expect(options.width).toBe(80);
    expect(notes[0]).toContain("83.2");
    expect(notes[0]).toContain("80 is the nearest");
    expect(parseGrowth({ width: "1.01x" }, parent).options.width).toBe(80); // never the parent's own
  });

  it("refuses an explicit width that no head count allows and names the nearest", () => {
    const error = problem({ width: "100" });
    expect(error.code).toBe("width-not-divisible");
    expect(error.message).toContain("96 and 112");
  });

  it.each([
    [{ width: "32" }, "child-too-small"],
    [{ width: "0.5x" }, "child-too-small"],
    [{ layers: 1 }, "child-too-small"],
    [{ mlp: 100 }, "child-too-small"],
    [{ heads: 3 }, "child-too-small"],
    [{ width: 96, heads: 5 }, "heads-width-mismatch"],
    [{}, "nothing-to-grow"],
    [{ width: 64 }, "nothing-to-grow"],
    [{ width: "wide" }, "growth-size"],
    [{ layers: "-1" }, "growth-size"],
    [{ width: "1e3" }, "growth-size"],
    [{ layers: 4, method: "magic" }, "growth-method"],
    [{ layers: 4, "depth-method": "pile" }, "growth-method"],
    [{ layers: 5, "depth-method": "stack", positions: "top" }, "positions-unused"],
    [{ layers: 3, "depth-method": "solar" }, "solar-layers"],
    [{ layers: 4, positions: "middle" }, "positions"],
    [{ layers: 4, "noise-db": "loud" }, "noise-db"],
    [{ "kv-heads": 2 }, "kv-heads"],
    [{ "head-dim": "0.5x" }, "child-too-small"],
    [{ "head-dim": 18, width: 64 }, "width-not-divisible"],
    [{ vocab: 7 }, "child-too-small"],
    [{ experts: 2 }, "experts-unsupported"],
    [{ layers: 3, "experts-per-token": 2 }, "experts-per-token"],
    [{ experts: "2x" }, "growth-size"],
  ] as [GrowthFlags, string][])("refuses %o as %s", (flags, code) => {
    expect(problem(flags).code).toBe(code);
  });

  it("takes 0 dB of noise unless told otherwise", () => {
    const noise = (flags: GrowthFlags) =>
      parseGrowth({ layers: 3, ...flags }, parent).options.noise_db;
    expect(noise({})).toBe(0);
    expect(noise({ "noise-db": "-3.5" })).toBe(-3.5);
    expect(noise({ "noise-db": false })).toBeNull();
  });

  it("counts the layers from a list of positions", () => {
    expect(child({ positions: "0, 1,1" }).n_layer).toBe(5);
  });

  it("says what follows from what", () => {
    expect(parseGrowth({ width: 96 }, parent).notes).toEqual([
      "heads follow the width: 6 of 16",
      "the MLP keeps its ratio to the width: 384 neurons",
    ]);
    expect(parseGrowth({ heads: 5, mlp: 256 }, parent).notes).toEqual([
      "width follows the heads: 5 heads make 80",
    ]);
  });
});

describe("identityDepth", () => {
  const order = (...args: Parameters<typeof identityDepth>) =>
    identityDepth(...args).map(({ source, inserted }) => (inserted ? `+${source}` : `${source}`));

  it("spreads blocks evenly, each after the layer that it copies", () => {
    expect(order(2, 4, "interleaved")).toEqual(["0", "+0", "1", "+1"]);
    expect(order(4, 6, "interleaved")).toEqual(["0", "1", "+1", "2", "3", "+3"]);
    expect(order(3, 5, "interleaved")).toEqual(["0", "1", "+1", "2", "+2"]);
    expect(order(1, 3, "interleaved")).toEqual(["0", "+0", "+0"]);
  });

  it("puts blocks on top, at the bottom, or where a list says", () => {
    expect(order(2, 4, "top")).toEqual(["0", "1", "+1", "+1"]);
    expect(order(2, 3, "bottom")).toEqual(["+0", "0", "1"]);
    expect(order(3, 5, [-1, 1])).toEqual(["+0", "0", "1", "+1", "2"]);
    expect(order(3, 3, "interleaved")).toEqual(["0", "1", "2"]);
  });

  it("refuses a list of the wrong length or range", () => {
    expect(() => identityDepth(2, 4, [0])).toThrow("2 positions");
    expect(() => identityDepth(2, 3, [2])).toThrow("from 0 to 1");
  });
});
