// What is printed: canonical JSON, aligned rows, numbers and durations for people.
import { expect, test } from "vitest";
import { formatBytes, formatDuration, formatNumber, toJson, toRows } from "../../cli/output.ts";

test("JSON has null for what is not finite, keys in their order, one newline at the end", () => {
  expect(toJson({ b: Number.NaN, a: [Number.POSITIVE_INFINITY, 1] })).toBe(
    '{\n  "b": null,\n  "a": [\n    null,\n    1\n  ]\n}\n',
  );
});

test("rows are aligned, and text from files can't write to the terminal", () => {
  expect(toRows([])).toBe("");
  expect(
    toRows([
      ["a", 1],
      ["bcd", null],
    ]),
  ).toBe("a    1\nbcd  not measured\n");
  expect(toRows([["name", "\u001b[31mred"]])).toBe("name  \\u001b[31mred\n");
  const long = "a sentence with an answer 😀 ".repeat(40);
  expect(toRows([["a", long]])).toBe(`a  ${long}\n`);
});

test("numbers for people", () => {
  expect(formatNumber(0)).toBe("0");
  expect(formatNumber(1234567)).toBe("1,234,567");
  expect(formatNumber(-1234)).toBe("-1,234");
  expect(formatNumber(0.123456)).toBe("0.1235");
  expect(formatNumber(3.1e-6)).toBe("3.10e-6");
  expect(formatNumber(Number.NaN)).toBe("not measured");
});

test("bytes for people", () => {
  expect(formatBytes(0)).toBe("0 B");
  expect(formatBytes(999)).toBe("999 B");
  expect(formatBytes(1500)).toBe("1.5 kB");
  expect(formatBytes(999_600)).toBe("1.0 MB");
  expect(formatBytes(135e9)).toBe("135 GB");
});

test("durations for people", () => {
  expect(formatDuration(0)).toBe("0 s");
  expect(formatDuration(59.4)).toBe("59 s");
  expect(formatDuration(61)).toBe("1 min 01 s");
  expect(formatDuration(3900)).toBe("1 h 05 min");
  expect(formatDuration(-1)).toBe("0 s");
});
