import fc from "fast-check";
import { expect, test } from "vitest";
import { lossAt, lossCurve, matchCurves } from "../../../circuits/questions/loss-curves.ts";

const line = (tokens: number, held_out_loss: number | null, extra = {}) => ({
  arm: "carried",
  phase: "lm",
  tokens,
  flops: tokens * 10,
  held_out_loss,
  ...extra,
});

test("a curve takes the held-out losses of one arm's language model, and the stated end", () => {
  const curve = lossCurve(
    [
      line(200, 4),
      line(100, 5),
      line(150, null),
      line(1, 9, { phase: "sae" }),
      line(1, 9, { arm: "x" }),
    ],
    "carried",
    [{ held_out_loss: 3, tokens_trained: 400, flops_trained: null }],
  );
  expect(curve).toEqual([
    { tokens: 100, flops: 1000, loss: 5 },
    { tokens: 200, flops: 2000, loss: 4 },
    { tokens: 400, flops: null, loss: 3 },
  ]);
});

test("the evaluated end takes the place of what training logged at its last, whole batch", () => {
  const curve = lossCurve([line(100, 5), line(408, 4)], "carried", [
    { held_out_loss: 3, tokens_trained: 400, flops_trained: 4000 },
  ]);
  expect(curve).toEqual([
    { tokens: 100, flops: 1000, loss: 5 },
    { tokens: 408, flops: 4080, loss: 3 },
  ]);
});

test("a loss is read by straight lines in the logarithm, halfway at the geometric mean", () => {
  const curve = lossCurve([line(100, 5), line(400, 3)], "carried", []);
  expect(lossAt(curve, "tokens", 200)).toBeCloseTo(4, 12);
  expect(lossAt(curve, "flops", 1000)).toBe(5);
  expect(lossAt(curve, "tokens", 400)).toBe(3);
});

test("nothing is read outside a curve, or from an empty one", () => {
  const curve = lossCurve([line(100, 5), line(400, 3)], "carried", []);
  expect(lossAt(curve, "tokens", 99)).toBeNull();
  expect(lossAt(curve, "tokens", 401)).toBeNull();
  expect(lossAt([], "tokens", 1)).toBeNull();
});

test("after an expansion at an amount of tokens, the later loss counts from there", () => {
  const curve = lossCurve([line(100, 5), line(100, 6), line(400, 3)], "carried", [
    { held_out_loss: 5, tokens_trained: 100, flops_trained: 1000 },
  ]);
  expect(lossAt(curve, "tokens", 100)).toBe(6);
  expect(lossAt(curve, "tokens", 200)).toBeCloseTo(4.5, 12);
});

test("curves are matched at the largest amount that both reached", () => {
  const grown = lossCurve([line(100, 5), line(400, 3)], "carried", []);
  const control = lossCurve([line(100, 6), line(200, 5)], "carried", []);
  const matched = matchCurves(grown, control, "tokens")!;
  expect(matched).toMatchObject({ at: 200, control: 5, read: { grown: 0.5, control: 1 } });
  expect(matched.grown).toBeCloseTo(4, 12);
  expect(matchCurves(grown, [], "tokens")).toBeNull();
  expect(matchCurves(grown, [{ tokens: 50, flops: null, loss: 7 }], "tokens")).toBeNull();
  expect(matchCurves(grown, [{ tokens: 200, flops: null, loss: 7 }], "flops")).toBeNull();
});

test("a reading lies between its neighbours", () => {
  const losses = fc.tuple(
    fc.double({ min: 1, max: 9, noNaN: true }),
    fc.double({ min: 1, max: 9, noNaN: true }),
  );
  fc.assert(
    fc.property(losses, fc.integer({ min: 100, max: 400 }), ([a, b], at) => {
      const read = lossAt(lossCurve([line(100, a), line(400, b)], "carried", []), "tokens", at)!;
      expect(read).toBeGreaterThanOrEqual(Math.min(a, b) - 1e-9);
      expect(read).toBeLessThanOrEqual(Math.max(a, b) + 1e-9);
    }),
  );
});
