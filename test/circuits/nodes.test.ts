import { expect, test } from "vitest";
import { type CircuitNode, errorShare, nodeJaccard, rankNodes } from "../../circuits/index.ts";

const node = (type: CircuitNode["type"], layer: number, index: number, score: number) => ({
  type,
  layer,
  index,
  score,
});

test("nodes are ranked by |score|, then by type, layer and index, and zero scores are left out", () => {
  const ranked = rankNodes([
    node("latent", 1, 5, 0.5),
    node("mlp", 0, 0, -2),
    node("head", 1, 0, 0.5),
    node("head", 0, 1, 0),
    node("latent", 1, 3, -0.5),
  ]);
  expect(ranked.map(({ type, index }) => `${type}${index}`)).toEqual([
    "mlp0",
    "head0",
    "latent3",
    "latent5",
  ]);
});

test("Jaccard overlap is 1/3 for one shared node of three, and null for two empty circuits", () => {
  const a = [node("head", 0, 0, 1), node("head", 0, 1, 1)];
  const b = [node("head", 0, 1, -9), node("head", 1, 1, 1)];
  expect(nodeJaccard(a, b)).toBeCloseTo(1 / 3, 12);
  expect(nodeJaccard(a, a)).toBe(1);
  expect(nodeJaccard([], [])).toBeNull();
});

test("the error node's share counts only the SAE's hook", () => {
  const nodes = [node("head", 0, 0, 100), node("latent", 0, 1, -3), node("error", 0, 0, 1)];
  expect(errorShare(nodes)).toBe(0.25);
  expect(errorShare([node("head", 0, 0, 1)])).toBeNull();
});
