import fc from "fast-check";
import { expect, test } from "vitest";
import { forEachWord } from "../../src/data/words.ts";

const gpt2 =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

function words(text: string): string[] {
  const out: string[] = [];
  forEachWord(text, (start, end) => out.push(text.slice(start, end)));
  return out;
}

const tricky = fc.constantFrom(
  ..."ab1 '\n\t-é漢🎉".split(""),
  "'s",
  "'re",
  "'ll",
  "'S",
  "  ",
  "\u00a0",
  "\u0085",
  "\ufeff",
  "\u2028",
  "e\u0301",
  "👩‍👩‍👧",
  "½",
);

test("a sentence is cut as GPT-2 cuts it", () => {
  expect(words("It's 1790:  we've\n\nmet.")).toEqual([
    ..."It|'s| 1790|:| | we|'ve|\n|\n|met|.".split("|"),
  ]);
});

test("the words of any text are those of GPT-2's regular expression", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(tricky).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(text, (s) => {
      expect(words(s)).toEqual(s.match(gpt2) ?? []);
    }),
    { numRuns: 1000 },
  );
});

test("the words of a text put together are the text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (s) => {
      expect(words(s).join("")).toBe(s);
    }),
  );
});

test("an empty text has no words", () => {
  expect(words("")).toEqual([]);
});

test("a word of many million characters, where a regular expression runs out of stack, is one word", () => {
  expect(words("漢".repeat(20_000_000))).toHaveLength(1);
  expect(words("🎉".repeat(2_000_000))).toHaveLength(1);
  expect(words(`${" ".repeat(1_000_000)}a`)).toHaveLength(2);
});
