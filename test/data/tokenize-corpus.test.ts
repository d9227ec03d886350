import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import {
  openCorpus,
  type TokenizedCorpus,
  Tokenizer,
  type TokenSet,
  tokenizeCorpus,
  trainBpe,
  unigramEntropy,
} from "../../src/data/index.ts";
import { corpusOf, fileWith, refusal } from "./support.ts";

let bytes: Tokenizer; // no merges: a token is a byte

beforeAll(async () => {
  bytes = Tokenizer.load(await trainBpe([], 257));
});

function sidesOf({ train, heldOut }: TokenizedCorpus): Map<number, Set<string>> {
  const sides = new Map<number, Set<string>>();
  for (const [side, set] of [
    ["train", train],
    ["heldOut", heldOut],
  ] as const) {
    for (const doc of set.doc) sides.set(doc, (sides.get(doc) ?? new Set()).add(side));
  }
  return sides;
}

function rowText(set: TokenSet, row: number): string {
  return bytes.decode(set.ids.slice(row * set.context, (row + 1) * set.context));
}

test("sequences begin with <|endoftext|>, stay in their document, and say where they begin", async () => {
  const texts = ["abcdefgh", "ijkl", "mnopqrs", "no"];
  const result = await tokenizeCorpus(corpusOf(texts), bytes, { context: 4 });
  expect(result.documents).toEqual(["d0", "d1", "d2"]);
  expect(result.meta).toEqual([{ n: 0 }, { n: 1 }, { n: 2 }]);
  expect(result.shortDocuments).toBe(1);
  expect(result.droppedTokens).toBe(2 + 1 + 1 + 2);
  for (const set of [result.train, result.heldOut]) {
    for (let row = 0; row < set.nSeq; row++) {
      const document = texts[set.doc[row]];
      expect(rowText(set, row)).toBe(
        `<|endoftext|>${document.slice(set.start[row], set.start[row] + 3)}`,
      );
    }
  }
  expect(result.train.nSeq + result.heldOut.nSeq).toBe(2 + 1 + 2);
});

test("every document is on exactly one side, and the same seed gives the same sets", async () => {
  const text = fc.string({ unit: "grapheme-ascii", minLength: 3, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(text, { minLength: 2, maxLength: 20 }),
      fc.integer(),
      async (texts, seed) => {
        const options = { context: 4, seed, heldOutFraction: 0.3 };
        const result = await tokenizeCorpus(corpusOf(texts), bytes, options);
        const sides = sidesOf(result);
        expect([...sides.keys()].sort((a, b) => a - b)).toEqual(texts.map((_, i) => i));
        for (const side of sides.values()) expect(side.size).toBe(1);
        expect(await tokenizeCorpus(corpusOf(texts), bytes, options)).toEqual(result);
      },
    ),
    { numRuns: 40 },
  );
});

test("within a token limit a corpus in file order is read from its beginning", async () => {
  let read = 0;
  const texts = Array.from({ length: 50 }, (_, i) => String(i).padStart(9, "x"));
  const corpus = corpusOf(texts, "file");
  const counted = {
    ...corpus,
    async *documents() {
      for await (const document of corpus.documents()) {
        read++;
        yield document;
      }
    },
  };
  const result = await tokenizeCorpus(counted, bytes, { context: 4, maxTokens: 45 });
  expect(result.documents).toEqual(["d0", "d1", "d2", "d3"]);
  expect((result.train.nSeq + result.heldOut.nSeq) * 4).toBe(44);
  expect(read).toBe(4);
});

test("within a token limit a shuffled corpus is sampled from all over, the same for the same seed", async () => {
  const texts = Array.from({ length: 400 }, (_, i) => String(i).padStart(9, "x"));
  const options = { context: 4, maxTokens: 480, seed: 1 };
  const result = await tokenizeCorpus(corpusOf(texts), bytes, options);
  expect((result.train.nSeq + result.heldOut.nSeq) * 4).toBe(480);
  const places = result.meta.map(({ n }) => n as number);
  expect(places).toHaveLength(40);
  expect(places).toEqual([...places].sort((a, b) => a - b));
  expect(places.filter((n) => n >= 200).length).toBeGreaterThan(8);
  expect(await tokenizeCorpus(corpusOf(texts), bytes, options)).toEqual(result);
  const other = await tokenizeCorpus(corpusOf(texts), bytes, { ...options, seed: 2 });
  expect(other.documents).not.toEqual(result.documents);
});

test("a larger token limit holds the smaller one's documents", async () => {
  const texts = Array.from({ length: 100 }, (_, i) => "y".repeat(3 + (i % 17)));
  const few = await tokenizeCorpus(corpusOf(texts), bytes, { context: 4, maxTokens: 200 });
  const many = await tokenizeCorpus(corpusOf(texts), bytes, { context: 4, maxTokens: 400 });
  expect(many.documents).toEqual(expect.arrayContaining(few.documents));
});

test("a corpus too short for two documents of one context is refused with the longest length", async () => {
  const error = await refusal(() => tokenizeCorpus(corpusOf(["abc", "de"]), bytes, { context: 5 }));
  expect(error.code).toBe("corpus-too-short");
  expect(error.message).toMatch(/two documents of 4 tokens.*got 0; the longest has 3 tokens/);
  expect(error.message).toContain("--context");
  const one = await refusal(() => tokenizeCorpus(corpusOf(["abcde", "de"]), bytes, { context: 5 }));
  expect(one.got).toMatch(/^1;/);
});

test("impossible settings are refused", async () => {
  const corpus = corpusOf(["abcdef", "ghijkl"]);
  for (const context of [1, 2.5, Number.NaN]) {
    expect((await refusal(() => tokenizeCorpus(corpus, bytes, { context }))).code).toBe("context");
  }
  const limited = await refusal(() => tokenizeCorpus(corpus, bytes, { context: 4, maxTokens: 5 }));
  expect(limited.message).toMatch(/tokens: expected room for at least two sequences of 4, got 5/);
});

test("errors of the corpus come through", async () => {
  const corpus = openCorpus({ kind: "text", path: fileWith("") });
  expect((await refusal(() => tokenizeCorpus(corpus, bytes, { context: 8 }))).code).toBe(
    "corpus-empty",
  );
});

function setOf(rows: number[][]): TokenSet {
  return {
    ids: Int32Array.from(rows.flat()),
    doc: new Int32Array(rows.length),
    start: new Int32Array(rows.length),
    nSeq: rows.length,
    context: rows[0].length,
  };
}

test("the unigram entropy is that of a hand-made example, first positions left out", () => {
  // Training counts of ids 0..2, one added: 1, 3, 2 of 6. Held out: 1, 1, 2, 0.
  const train = setOf([[0, 1, 1, 2]]);
  const heldOut = setOf([
    [0, 1, 1],
    [0, 2, 0],
  ]);
  const wanted = -(2 * Math.log(3 / 6) + Math.log(2 / 6) + Math.log(1 / 6)) / 4;
  expect(unigramEntropy(train, heldOut, 3)).toBeCloseTo(wanted, 12);
});

test("the State of the Union in 1,024 tokens has a unigram entropy near 6 nats", async () => {
  const corpus = openCorpus({ kind: "sotu" });
  const texts: string[] = [];
  for await (const { text } of corpus.documents()) texts.push(text);
  const tokenizer = Tokenizer.load(await trainBpe(texts.slice(0, 60), 1024));
  const result = await tokenizeCorpus(corpus, tokenizer, { context: 128, maxTokens: 300_000 });
  expect(result.unigramEntropy).toBeGreaterThan(5.5);
  expect(result.unigramEntropy).toBeLessThan(6.5);
});
