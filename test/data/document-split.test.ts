// One held-out split over several corpora: no text on both sides, whatever the corpora share and in whatever order they come.
import fc from "fast-check";
import { expect, test } from "vitest";
import { documentHash, splitDocuments, splitUnseen } from "../../src/data/index.ts";

const documentsOf = (ids: readonly number[]) =>
  ids.map((id, index) => ({ name: `document ${index}`, index, hash: `hash ${id}` }));

test("a text's hash passes over white space and nothing else", () => {
  expect(documentHash(" We  the\n\nPeople\r\n")).toBe(documentHash("We the People"));
  expect(documentHash("We the people")).not.toBe(documentHash("We the People"));
  // sha256 of "We the People"
  expect(documentHash("We the People")).toHaveLength(64);
});

test("without copies and without corpora before, the split is the one by rank", () => {
  const documents = documentsOf(Array.from({ length: 30 }, (_, i) => i));
  expect(splitUnseen(documents, new Map(), { heldOutFraction: 0.2, seed: 5 })).toEqual(
    splitDocuments(documents, { heldOutFraction: 0.2, seed: 5 }),
  );
});

test("over any corpora that share texts, no text is on both sides", () => {
  const corpus = fc.array(fc.nat(25), { minLength: 2, maxLength: 30 });
  fc.assert(
    fc.property(fc.array(corpus, { minLength: 1, maxLength: 4 }), fc.nat(), (corpora, seed) => {
      const seen = new Map<string, boolean>();
      for (const ids of corpora) {
        const documents = documentsOf(ids);
        let flags: boolean[];
        try {
          flags = splitUnseen(documents, seen, { heldOutFraction: 0.3, seed });
        } catch (error) {
          // all on one side: copies of one text, or texts that were all seen on that side
          expect(error).toMatchObject({ code: "corpus-split" });
          const sides = new Set(documents.map(({ hash }) => seen.get(hash)));
          expect(new Set(ids).size === 1 || !sides.has(true) || !sides.has(false)).toBe(true);
          return;
        }
        expect(new Set(flags).size).toBe(2);
        for (const [i, { hash }] of documents.entries()) {
          expect(seen.get(hash) ?? flags[i]).toBe(flags[i]);
          seen.set(hash, flags[i]);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test("a single new document goes to the side that would else be empty", () => {
  const trained = new Map([["hash 1", false]]);
  expect(splitUnseen(documentsOf([1, 2]), trained)).toEqual([false, true]);
  const both = new Map([...trained, ["hash 3", true] as const]);
  expect(splitUnseen(documentsOf([1, 2, 3]), both)).toEqual([false, false, true]);
});
