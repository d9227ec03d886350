import fc from "fast-check";
import { expect, test } from "vitest";
import { inParts, splitAtParagraphs, splitAtSeparator } from "../../src/data/text-documents.ts";
import { collect, inBlocks } from "./support.ts";

const cuts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });
const piece = fc.constantFrom(
  "a",
  " ",
  "\n",
  "\n\n",
  "\n \n",
  "bc de",
  "🎉",
  "<|endoftext|>",
  "<|end",
);
const prose = fc.array(piece, { maxLength: 60 }).map((parts) => parts.join(""));

test("documents are what lies between separators, without the line ends beside them", async () => {
  const text = "one\n<|endoftext|>\r\ntwo\n\nmore<|endoftext|><|endoftext|>three\n";
  expect(await collect(splitAtSeparator(inBlocks(text, [5])))).toEqual([
    "one",
    "two\n\nmore",
    "three",
  ]);
});

test("the documents between separators don't depend on how the text is cut into blocks", async () => {
  await fc.assert(
    fc.asyncProperty(prose, cuts, async (text, lengths) => {
      const wanted = text.split("<|endoftext|>").map((s) => s.replace(/^[\r\n]+|[\r\n]+$/g, ""));
      const got = await collect(splitAtSeparator(inBlocks(text, lengths)));
      expect(got).toEqual(wanted.filter((s) => s !== ""));
    }),
  );
});

test("a document longer than the limit comes in parts that are its text", async () => {
  await fc.assert(
    fc.asyncProperty(prose, cuts, async (text, lengths) => {
      const plain = text.replaceAll("<|endoftext|>", "").replaceAll("<", "");
      const parts = await collect(splitAtSeparator(inBlocks(plain, lengths), 12));
      expect(parts.join("").replace(/^[\r\n]+|[\r\n]+$/g, "")).toBe(
        plain.replace(/^[\r\n]+|[\r\n]+$/g, ""),
      );
      for (const part of parts) expect(part.length).toBeLessThanOrEqual(25);
    }),
  );
});

test("without separators a document ends at the first blank line past the group length", async () => {
  const text = "aaaa\n\nbbbb\nccc\n \ndddd\n\neeee";
  expect(await collect(splitAtParagraphs(inBlocks(text, [3]), 9))).toEqual([
    "aaaa\n\nbbbb\nccc\n \n",
    "dddd\n\neeee",
  ]);
});

test("where no blank line comes, a document ends at a line end, else at a space, else anywhere", async () => {
  const lines = "aaa\n".repeat(20);
  expect((await collect(splitAtParagraphs(inBlocks(lines, [7]), 9)))[0]).toBe("aaa\n".repeat(4));
  const words = "aaa ".repeat(20);
  expect((await collect(splitAtParagraphs(inBlocks(words, [7]), 9)))[0]).toBe("aaa ".repeat(4));
  const solid = "🎉".repeat(40);
  const parts = await collect(splitAtParagraphs(inBlocks(solid, [7]), 5));
  expect(parts.length).toBeGreaterThan(1);
  for (const part of parts) expect(part).toMatch(/^(🎉)+$/u);
});

test("groups of paragraphs put together are the text, whatever the blocks, and none is longer than twice the length", async () => {
  await fc.assert(
    fc.asyncProperty(prose, cuts, async (text, lengths) => {
      const groups = await collect(splitAtParagraphs(inBlocks(text, lengths), 6));
      expect(groups.join("")).toBe(text);
      for (const group of groups) expect(group.length).toBeLessThanOrEqual(12);
      expect(await collect(splitAtParagraphs(inBlocks(text, [1000]), 6))).toEqual(groups);
    }),
  );
});

test("parts of a text are the text", () => {
  fc.assert(
    fc.property(prose, fc.integer({ min: 2, max: 20 }), (text, longest) => {
      const parts = [...inParts(text, longest)];
      expect(parts.join("")).toBe(text);
      for (const part of parts) expect(part.length).toBeLessThanOrEqual(longest);
    }),
  );
});
