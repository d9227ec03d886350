import { describe, expect, test } from "vitest";
import { depthMethodNames } from "../../../cli/plan/growth-methods.ts";
import { type DepthMethodName, exactPrefix } from "../../../src/expansion/depth/child-layer.ts";
import { childLayers, depthMethods } from "../../../src/expansion/depth/depth-methods.ts";
import type { Positions } from "../../../src/expansion/depth/identity.ts";

/** "0 1 1z": the layers' sources, z or c behind a block that adds nothing. */
function drawn(
  method: DepthMethodName,
  nParent: number,
  nChild: number,
  positions: Positions = "interleaved",
): string {
  return childLayers(method, nParent, nChild, positions)
    .map(({ source, inserted }) => `${source}${inserted ? inserted[0] : ""}`)
    .join(" ");
}

describe("the layers of a child", () => {
  test.each<[DepthMethodName, number, number, string]>([
    ["stack", 3, 6, "0 1 2 0 1 2"],
    ["stack", 2, 8, "0 1 0 1 0 1 0 1"],
    ["stack", 3, 5, "0 1 2 0 1"],
    ["stack", 3, 4, "0 1 2 0"],
    ["stack", 1, 3, "0 0 0"],
    ["solar", 4, 6, "0 1 2 1 2 3"],
    ["solar", 4, 8, "0 1 2 3 0 1 2 3"],
    ["solar", 3, 4, "0 1 1 2"],
    ["solar", 8, 12, "0 1 2 3 4 5 2 3 4 5 6 7"],
    ["identity", 2, 4, "0 0z 1 1z"],
    ["cancel", 2, 4, "0 0c 1 1c"],
  ])("%s takes %i layers to %i", (method, nParent, nChild, want) => {
    expect(drawn(method, nParent, nChild)).toBe(want);
  });

  test.each(depthMethodNames)("%s leaves the layers alone where their number stays", (method) => {
    expect(drawn(method, 3, 3)).toBe("0 1 2");
  });

  test("SOLAR's own 32 layers with 8 left out become 48", () => {
    const sources = childLayers("solar", 32, 48, "interleaved").map(({ source }) => source);
    expect(sources.slice(0, 24)).toEqual(Array.from({ length: 24 }, (_, i) => i));
    expect(sources.slice(24)).toEqual(Array.from({ length: 24 }, (_, i) => i + 8));
  });

  test("cancelling blocks go where identity blocks go", () => {
    expect(drawn("cancel", 2, 4, [-1, 1])).toBe("0c 0 1 1c");
    expect(drawn("cancel", 2, 3, "bottom")).toBe("0c 0 1");
  });

  test.each([
    [3, 5, "Possible is 4 or 6."],
    [4, 5, "Possible is 6."],
    [3, 8, "In one step 3 layers grow to at most 6."],
    [3, 7, "Possible is 6."],
  ])("solar can't take %i layers to %i", (nParent, nChild, hint) => {
    expect(() => childLayers("solar", nParent, nChild, "interleaved")).toThrow(
      expect.objectContaining({ code: "solar-layers", hint }),
    );
  });

  test.each(["stack", "solar"] as const)("%s says itself where layers go", (method) => {
    expect(() => childLayers(method, 2, 4, [0, 1])).toThrow(
      expect.objectContaining({ code: "positions-unused" }),
    );
  });

  test("command line and plans know the same methods", () => {
    expect(Object.keys(depthMethods).sort()).toEqual([...depthMethodNames].sort());
  });
});

describe("the prefix that is exact", () => {
  const prefix = (method: DepthMethodName, nParent: number, nChild: number) =>
    exactPrefix(childLayers(method, nParent, nChild, "interleaved"));

  test("ends where the first repeated layer begins", () => {
    expect(prefix("stack", 3, 7)).toEqual([0, 1, 2, 3]);
    expect(prefix("solar", 4, 6)).toEqual([0, 1, 2, 3]);
    expect(prefix("solar", 3, 4)).toEqual([0, 1, 2]);
  });

  test("is everything where blocks add nothing", () => {
    expect(prefix("identity", 2, 4)).toEqual([0, 1, 1, 2, 2]);
    expect(exactPrefix(childLayers("cancel", 2, 4, [-1, 0]))).toEqual([0, 0, 1, 1, 2]);
  });

  test("is a part where the middle of the stack is missing", () => {
    const layers = [0, 2].map((source) => ({ source, inserted: false as const }));
    expect(exactPrefix(layers)).toEqual([0, 1]);
  });
});
