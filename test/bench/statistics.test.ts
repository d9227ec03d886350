// Medians, quartiles and the comparison of losses.
import { describe, expect, test } from "vitest";
import {
  largestRelativeError,
  median,
  quantile,
  quartiles,
} from "../../bench/harness/statistics.ts";

describe("quantiles", () => {
  test("the median of an odd number of values is one of them, of an even number between two", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(median([7])).toBe(7);
  });

  test("quartiles lie linearly between neighbours, whatever the order", () => {
    expect(quartiles([40, 10, 30, 20])).toEqual([17.5, 32.5]);
    expect(quantile([3, 1], 0)).toBe(1);
    expect(quantile([3, 1], 1)).toBe(3);
  });

  test("there are none of no values", () => {
    expect(median([])).toBeNaN();
  });

  test("the values are left as they were", () => {
    const values = [2, 1];
    median(values);
    expect(values).toEqual([2, 1]);
  });
});

describe("largestRelativeError", () => {
  test("is the worst pair's", () => {
    expect(largestRelativeError([1, 22], [1, 20])).toBeCloseTo(0.1);
  });

  test("is infinite for nothing to compare and for what is not a number", () => {
    expect(largestRelativeError([], [1])).toBe(Number.POSITIVE_INFINITY);
    expect(largestRelativeError([Number.NaN], [1])).toBe(Number.POSITIVE_INFINITY);
  });
});
