import { beforeAll, expect, test } from "vitest";
import { coverageWarning, Tokenizer, tokenCoverage, trainBpe } from "../../src/data/index.ts";

let tokenizer: Tokenizer;
const english = "the cat sat on the mat and the dog ran to the red barn. ";
beforeAll(async () => {
  const texts = async function* (): AsyncGenerator<string> {
    yield english.repeat(200);
  };
  tokenizer = Tokenizer.load(await trainBpe(texts(), 290));
});

test("bytes of characters without a token, and single letters, are counted by hand", () => {
  // two bytes each of α and β, one token for "the", then q and z, which no merge has
  const ids = Int32Array.from([
    tokenizer.endOfText,
    ...tokenizer.encode("αβ"),
    ...tokenizer.encode("qz"),
    ...tokenizer.encode("."),
  ]);
  expect(tokenCoverage(tokenizer, ids)).toEqual({ bytes: 4 / 7, letters: 2 / 7 });
});

test("a text of its own is covered, one of another script or of random letters is not", () => {
  expect(coverageWarning(tokenizer, tokenizer.encode(english))).toBeNull();
  expect(coverageWarning(tokenizer, tokenizer.encode("Μῆνιν ἄειδε θεὰ"))).toMatch(
    /badly: 9\d\.\d% of its tokens are bytes/,
  );
  expect(coverageWarning(tokenizer, tokenizer.encode("qzxvjkwqzpfygq"))).toMatch(
    / 100\.0% single letters$/,
  );
  expect(coverageWarning(tokenizer, new Int32Array(0))).toBeNull();
});
