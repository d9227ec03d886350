// Flag values: numbers with suffixes, choices.
import fc from "fast-check";
import { expect, test } from "vitest";
import { choice, count, real } from "../../cli/flags.ts";
import { UsageError } from "../../src/io/index.ts";

test("counts understand k, M, powers of ten and underscores", () => {
  const parse = count("--tokens");
  expect(parse("4096")).toBe(4096);
  expect(parse("200k")).toBe(200_000);
  expect(parse("1.5M")).toBe(1_500_000);
  expect(parse("2e5")).toBe(200_000);
  expect(parse("600_000")).toBe(600_000);
  expect(parse("0.1k")).toBe(100);
});

test("counts refuse what is no whole number or too small", () => {
  for (const text of [
    "",
    "0",
    "-1",
    "1.5",
    "0.0001k",
    "1e99",
    "0x10",
    "ten",
    "1 k",
    "NaN",
    "Infinity",
  ]) {
    expect(() => count("--k")(text), text).toThrow(UsageError);
  }
  expect(count("--seed", 0)("0")).toBe(0);
});

test("every whole number comes back as itself", () => {
  fc.assert(fc.property(fc.nat(), (n) => count("--n", 0)(String(n)) === n));
});

test("numbers are finite", () => {
  expect(real("--noise-db")("-3.5")).toBe(-3.5);
  for (const text of ["", " ", "loud", "Infinity", "NaN"]) {
    expect(() => real("--noise-db")(text), text).toThrow(UsageError);
  }
});

test("choices suggest the nearest", () => {
  const parse = choice("--controls", ["quick", "standard", "full"]);
  expect(parse("full")).toBe("full");
  expect(() => parse("standart")).toThrow(/did you mean standard\?/);
});
