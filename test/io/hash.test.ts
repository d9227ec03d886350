import { writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { sha256, sha256File, UsageError } from "../../src/io/index.ts";
import { temporaryFolder } from "../support/folder.ts";

const file = temporaryFolder();
const ofAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; // FIPS 180-2, B.1

test("sha256 gives the standard's example, of text, bytes and files", () => {
  expect(sha256("abc")).toBe(ofAbc);
  expect(sha256(Uint8Array.of(97, 98, 99))).toBe(ofAbc);
  writeFileSync(file("abc"), "abc");
  expect(sha256File(file("abc"))).toBe(ofAbc);
});

test("sha256File reads files longer than its buffer, and empty ones", () => {
  const bytes = new Uint8Array(3_000_001).fill(7);
  writeFileSync(file("long"), bytes);
  expect(sha256File(file("long"))).toBe(sha256(bytes));
  writeFileSync(file("empty"), "");
  expect(sha256File(file("empty"))).toBe(sha256(""));
});

test("sha256File of a missing file is a UsageError", () => {
  expect(() => sha256File(file("no"))).toThrow(UsageError);
});
