import fc from "fast-check";
import { expect, test } from "vitest";
import { deviation, effect, faithfulness, unstable } from "../../circuits/statistics.ts";
import { createRng } from "../../src/engine/index.ts";

test("the effect is paired: its standard error is that of the differences", () => {
  // differences 1, 2, 3: mean 2, sd 1, se 1/√3, although the values themselves vary widely
  const { difference, se } = effect([101, 12, 1003], [100, 10, 1000]);
  expect(difference).toBeCloseTo(2, 12);
  expect(se).toBeCloseTo(1 / Math.sqrt(3), 12);
  expect(deviation([5])).toBe(0);
});

test("faithfulness is (m(C) − m(∅)) / (m(M) − m(∅)), 1/4 here, with an interval around it", () => {
  const full = [4, 5, 4, 5, 4, 5];
  const empty = [0, 1, 0, 1, 0, 1];
  const circuit = [1, 2, 1, 2, 1, 2];
  const { value, ci, reason } = faithfulness(circuit, full, empty, createRng(0));
  expect(value).toBeCloseTo(0.25, 12);
  expect(ci![0]).toBeCloseTo(0.25, 12); // every prompt has the same ratio
  expect(ci![1]).toBeCloseTo(0.25, 12);
  expect(reason).toBeNull();
});

test("nothing is divided by a difference below three standard errors, and the reason says so", () => {
  const score = faithfulness([1, 1], [1, -0.9], [0, 0], createRng(0));
  expect(score.value).toBeNull();
  expect(score.ci).toBeNull();
  expect(score.reason).toMatch(/below 3 standard errors/);
  expect(unstable([1, 1], [1, 1])).not.toBeNull();
  expect(unstable([Number.NaN, 1], [0, 0])).not.toBeNull();
});

test("faithfulness of the full model is 1 and of the empty circuit 0, whatever the metrics", () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 2, maxLength: 12 }),
      fc.double({ min: 0.5, max: 9, noNaN: true }),
      (empty, gap) => {
        const full = empty.map((value) => value + gap);
        expect(faithfulness(full, full, empty, createRng(1)).value).toBeCloseTo(1, 9);
        expect(faithfulness(empty, full, empty, createRng(1)).value).toBeCloseTo(0, 9);
      },
    ),
    { numRuns: 30 },
  );
});
