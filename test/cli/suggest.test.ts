// "Did you mean": edit distance and the nearest name.
import fc from "fast-check";
import { expect, test } from "vitest";
import { editDistance, nearest } from "../../cli/suggest.ts";

test("hand-counted distances", () => {
  expect(editDistance("", "")).toBe(0);
  expect(editDistance("", "abc")).toBe(3);
  expect(editDistance("kitten", "sitting")).toBe(3);
  expect(editDistance("trian", "train")).toBe(1); // a swap of neighbours is one edit
  expect(editDistance("ca", "abc")).toBe(3); // no edit inside a swap: optimal string alignment
});

test("the distance is symmetric, zero for equals only, at most the longer length", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 8 }), fc.string({ maxLength: 8 }), (a, b) => {
      const d = editDistance(a, b);
      expect(d).toBe(editDistance(b, a));
      expect(d === 0).toBe(a === b);
      expect(d).toBeLessThanOrEqual(Math.max(a.length, b.length));
    }),
  );
});

test("nearest finds typing mistakes and leaves strangers alone", () => {
  const keys = ["seed", "backend", "d_model", "batch_tokens"];
  expect(nearest("sed", keys)).toBe("seed");
  expect(nearest("dModel", keys)).toBe("d_model");
  expect(nearest("batch-token", keys)).toBe("batch_tokens");
  expect(nearest("frobnicate", keys)).toBeUndefined();
  expect(nearest("x", keys)).toBeUndefined();
  expect(nearest("anything", [])).toBeUndefined();
});
