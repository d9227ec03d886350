// A text as one token set: nothing held out, cut at maxTokens, too short refused.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openCorpus, Tokenizer, tokenizeWhole, trainBpe } from "../../src/data/index.ts";

let folder = "";
let tokenizer: Tokenizer;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "whole-"));
  const texts = async function* (): AsyncGenerator<string> {
    yield "abc";
  };
  tokenizer = Tokenizer.load(await trainBpe(texts(), 257)); // bytes alone
});
afterAll(() => rmSync(folder, { recursive: true }));

const corpusOf = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return openCorpus({ kind: "text", path: join(folder, name) });
};

test("documents are cut behind <|endoftext|>, tails dropped, places counted by document", async () => {
  const corpus = corpusOf("two.txt", "abcdefg<|endoftext|>hi<|endoftext|>jklmno");
  const { set, documents } = await tokenizeWhole(corpus, tokenizer, { context: 4 });
  const end = tokenizer.endOfText;
  const ids = (text: string): number[] => [end, ...tokenizer.encode(text)];
  expect(Array.from(set.ids)).toEqual(["abc", "def", "jkl", "mno"].flatMap(ids));
  expect(Array.from(set.doc)).toEqual([0, 0, 1, 1]);
  expect(Array.from(set.start)).toEqual([0, 3, 0, 3]);
  expect(documents).toHaveLength(2);
});

test("maxTokens takes whole sequences from the beginning, at least one", async () => {
  const corpus = corpusOf("long.txt", "abcdefghijklmno");
  const taken = async (maxTokens: number): Promise<number> =>
    (await tokenizeWhole(corpus, tokenizer, { context: 4, maxTokens })).set.nSeq;
  expect(await taken(11)).toBe(2);
  expect(await taken(1)).toBe(1);
  expect(await taken(1000)).toBe(5);
});

test("a text shorter than a sequence is refused", async () => {
  const corpus = corpusOf("short.txt", "ab");
  await expect(tokenizeWhole(corpus, tokenizer, { context: 4 })).rejects.toThrow(
    /3 tokens or more/,
  );
});
