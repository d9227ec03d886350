import fc from "fast-check";
import { expect, test } from "vitest";
import { learnMerges } from "../../src/data/learn-merges.ts";

// The definition, recounted from nothing before each merge.
function naive(words: number[][], counts: number[], nSymbols: number, vocabSize: number): string[] {
  let current = words.map((word) => word.map((id) => String.fromCharCode(97 + id)));
  const ids = new Map(Array.from({ length: nSymbols }, (_, i) => [String.fromCharCode(97 + i), i]));
  const merges: string[] = [];
  while (ids.size < vocabSize) {
    const pairs = new Map<string, number>();
    current.forEach((word, w) => {
      for (let i = 0; i + 1 < word.length; i++) {
        const pair = `${word[i]} ${word[i + 1]}`;
        pairs.set(pair, (pairs.get(pair) ?? 0) + counts[w]);
      }
    });
    const order = (pair: string): number[] => pair.split(" ").map((s) => ids.get(s) as number);
    const [best] = [...pairs].sort(([a, na], [b, nb]) => {
      const [al, ar] = order(a);
      const [bl, br] = order(b);
      return nb - na || al - bl || ar - br;
    });
    if (best === undefined || best[1] < 2) break;
    const [left, right] = best[0].split(" ");
    if (!merges.includes(best[0])) merges.push(best[0]);
    if (!ids.has(left + right)) ids.set(left + right, ids.size);
    current = current.map((word) => {
      const out: string[] = [];
      for (let i = 0; i < word.length; i++) {
        if (word[i] === left && word[i + 1] === right) {
          out.push(left + right);
          i++;
        } else out.push(word[i]);
      }
      return out;
    });
  }
  return merges;
}

function learn(words: number[][], counts: number[], nSymbols: number, vocabSize: number): string[] {
  const symbols = Array.from({ length: nSymbols }, (_, i) => String.fromCharCode(97 + i));
  const inputs = words.map((word) => Int32Array.from(word));
  return learnMerges(inputs, counts, symbols, vocabSize, 2).map(
    ({ left, right }) => `${symbols[left]} ${symbols[right]}`,
  );
}

test("the most frequent pair is merged first, by hand", () => {
  // abab (3 times), bc (4 times): ab occurs 6, bc 4, ba 3. After a+b = ab: (ab,ab) 3, bc 4.
  const words = [
    [0, 1, 0, 1],
    [1, 2],
  ];
  expect(learn(words, [3, 4], 3, 6)).toEqual(["a b", "b c", "ab ab"]);
});

test("of equally frequent pairs the one with the smaller ids is merged first", () => {
  const words = [
    [2, 1],
    [1, 0],
    [0, 1],
  ];
  expect(learn(words, [5, 5, 5], 3, 6)).toEqual(["a b", "b a", "c b"]);
});

test("a run of one symbol is merged from the left", () => {
  // aa aa a: (aa, a) and (aa, aa) occur twice each, and a has the smaller id.
  expect(learn([[0, 0, 0, 0, 0]], [2], 1, 4)).toEqual(["a a", "aa a", "aa aaa"]);
});

test("pairs that occur once are not merged, so a small corpus gives a small vocabulary", () => {
  expect(learn([[0, 1, 2]], [1], 3, 10)).toEqual([]);
  expect(learn([], [], 3, 10)).toEqual([]);
});

test("merges of random words are those of a recount before each merge", () => {
  const word = fc.array(fc.nat(2), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(word, fc.integer({ min: 1, max: 4 })), { maxLength: 8 }),
      (entries) => {
        const words = entries.map(([w]) => w);
        const counts = entries.map(([, n]) => n);
        expect(learn(words, counts, 3, 12)).toEqual(naive(words, counts, 3, 12));
      },
    ),
    { numRuns: 500 },
  );
});
