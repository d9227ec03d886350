import { writeFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { describeJson, parseJson, readJson, UsageError } from "../../src/io/index.ts";
import { temporaryFolder } from "../support/folder.ts";

const file = temporaryFolder();

test("parseJson reads any JSON as JSON.parse does", () => {
  fc.assert(
    fc.property(fc.json(), fc.nat(4), (text, spaces) => {
      const value = JSON.parse(text);
      expect(parseJson(JSON.stringify(value, null, spaces), "x")).toEqual(value);
    }),
  );
});

test("parseJson finds a repeated key at any depth and whatever surrounds it", () => {
  fc.assert(
    fc.property(fc.string(), fc.json(), fc.nat(3), (key, other, depth) => {
      const name = JSON.stringify(key);
      const object = `{${name} : ${other} ,\n${name}:${other}}`;
      const text = `${"[".repeat(depth)}${object}${"]".repeat(depth)}`;
      expect(() => parseJson(text, "x")).toThrow(/each key once/);
    }),
  );
});

test("parseJson is not misled by braces, quotes and colons inside strings", () => {
  const text = '{"a":"{\\"a\\":1,\\"a\\":2}","b":{"a":"\\\\"},"c":[{"a":1},{"a":2}]}';
  expect(parseJson(text, "x")).toEqual(JSON.parse(text));
});

test("parseJson names the file and what is wrong in it", () => {
  expect(() => parseJson('{"a":}', "cfg.json")).toThrow(
    /cfg\.json: expected JSON, got Unexpected token/,
  );
});

test("parseJson copes with a string of ten megabytes", () => {
  const long = "x".repeat(10_000_000);
  expect(parseJson(JSON.stringify({ long }), "x")).toEqual({ long });
});

test("readJson refuses what is missing, not UTF-8, or empty", () => {
  expect(() => readJson(file("no.json"))).toThrow(
    /no\.json: expected a readable file, got no such/,
  );
  writeFileSync(file("latin.json"), Buffer.from('"\xfc"', "latin1"));
  expect(() => readJson(file("latin.json"))).toThrow(/UTF-8/);
  writeFileSync(file("empty.json"), "");
  expect(() => readJson(file("empty.json"))).toThrow(UsageError);
});

test("describeJson is short and never follows nested values", () => {
  expect(describeJson(undefined)).toBe("nothing");
  expect(describeJson(null)).toBe("null");
  expect(describeJson([1, "a"])).toBe('[1,"a"]');
  expect(describeJson([[]])).toBe("a nested list");
  expect(describeJson({ a: 1 })).toBe("an object");
});
