import fc from "fast-check";
import { expect, test } from "vitest";
import {
  compact,
  count,
  decimal,
  interval,
  inWords,
  percent,
  plural,
  rounded,
  signed,
  small,
} from "../../../reports/view/format.ts";

test("decimals have the real minus sign, and zero has none", () => {
  expect(decimal(0.664)).toBe("0.66");
  expect(decimal(-0.05)).toBe("−0.05");
  expect(decimal(-0.001)).toBe("0.00");
  expect(signed(0.325)).toBe("+0.33");
  expect(signed(-0.325)).toBe("−0.33");
  expect(signed(0)).toBe("0.00");
});

test("what was not measured is an en dash", () => {
  for (const format of [decimal, signed, percent, count, compact, small]) {
    expect([format(null), format(undefined), format(Number.NaN)]).toEqual(["–", "–", "–"]);
  }
  expect(interval(null)).toBe("no interval");
});

test("percentages keep a digit where it matters, and nearly all is not all", () => {
  expect([0, 0.0042, 0.055, 0.67, 0.998, 1].map(percent)).toEqual([
    "0%",
    "0.42%",
    "5.5%",
    "67%",
    "99.8%",
    "100%",
  ]);
});

test("counts are grouped, amounts of training have a unit", () => {
  expect([0, 999, 1000, 1234567, -1200].map(count)).toEqual([
    "0",
    "999",
    "1,000",
    "1,234,567",
    "−1,200",
  ]);
  expect([0, 850, 600_000, 1_050_000, 2.4e9, 3e12, 1.5e15].map(compact)).toEqual([
    "0",
    "850",
    "600k",
    "1.05M",
    "2.4B",
    "3T",
    "1.5P",
  ]);
});

test("small numbers are powers of ten", () => {
  expect([6.1e-6, 9.96e-5, 0.0123, 0, -2e-9, 12.345].map(small)).toEqual([
    "6.1·10⁻⁶",
    "1.0·10⁻⁴",
    "0.0123",
    "0",
    "−2.0·10⁻⁹",
    "12.35",
  ]);
});

test("words and plurals", () => {
  expect([inWords(2), inWords(12)]).toEqual(["two", "12"]);
  expect([plural(1, "seed"), plural(2, "seed"), plural(2, "entry", "entries")]).toEqual([
    "1 seed",
    "2 seeds",
    "2 entries",
  ]);
  expect([rounded(0.12345), rounded(Number.NaN)]).toEqual([0.123, null]);
});

test("no number is printed with a hyphen, an exponent or a machine's own separators", () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e14, max: 1e14 }), (x) => {
      for (const format of [decimal, signed, percent, count, compact, small]) {
        expect(format(x)).toMatch(/^[+−]?[\d,]+(\.\d+)?(%|[kMBTP])?(·10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?$/);
      }
    }),
  );
});
