// Documents by label: bounds and lists, numbers that are written as text, a stable order, what is refused.
import { describe, expect, test } from "vitest";
import type { Corpus, Document } from "../../src/data/index.ts";
import { filterDocuments, orderByLabel } from "../../src/data/index.ts";

const documents: Document[] = [
  { name: "a", text: "A", meta: { year: 1790, party: "Whig" } },
  { name: "b", text: "B", meta: { year: "1900", party: "none" } },
  { name: "c", text: "C", meta: { year: 1850.5 } },
  { name: "d", text: "D", meta: { year: "soon", party: "Whig" } },
  { name: "e", text: "E", meta: { year: 1790, party: "9" } },
];
const corpus: Corpus = {
  name: "five",
  order: "file",
  async *documents() {
    yield* documents;
  },
  fingerprint: async () => "print",
};

async function names(filter: Parameters<typeof filterDocuments>[1]): Promise<string> {
  const found: string[] = [];
  for await (const { name } of filterDocuments(corpus, filter).documents()) found.push(name);
  return found.join("");
}

describe("filterDocuments", () => {
  test("bounds include their ends, and take numbers that are written as text", async () => {
    expect(await names({ year: { min: 1790, max: 1900 } })).toBe("abce");
    expect(await names({ year: { min: 1800 } })).toBe("bc");
    expect(await names({ year: { max: 1850.5 } })).toBe("ace");
    expect(await names({ year: {} })).toBe("abce");
  });

  test("a list takes its values; several filters must all be met; a document without the label does not pass", async () => {
    expect(await names({ party: ["Whig", 9] })).toBe("ade");
    expect(await names({ party: ["Whig"], year: { max: 1800 } })).toBe("a");
    expect(await names({ party: ["none", "Whig", "9"] })).toBe("abde");
  });

  test("the fingerprint says which documents pass; no filter changes nothing", async () => {
    const print = (max: number) => filterDocuments(corpus, { year: { max } }).fingerprint();
    expect(await print(1800)).toBe(await print(1800));
    expect(await print(1800)).not.toBe(await print(1801));
    expect(filterDocuments(corpus, {})).toBe(corpus);
  });

  test("a filter that nothing passes is refused with the labels that there are", async () => {
    await expect(names({ yeer: { min: 1 } })).rejects.toMatchObject({
      code: "corpus-filter",
      got: "no document with the label yeer",
      hint: "its labels: year, party",
    });
    await expect(names({ year: { min: 1901 } })).rejects.toMatchObject({ got: "none passes" });
  });
});

describe("orderByLabel", () => {
  const order = (by: string, descending: boolean, of: readonly Document[]) =>
    orderByLabel(of, { by, descending })
      .map(({ name }) => name)
      .join("");
  const [a, b, c, d, e] = documents;

  test("numbers by size up and down, equal ones as they were", () => {
    expect(order("year", false, [b, e, c, a])).toBe("eacb");
    expect(order("year", true, [b, e, c, a])).toBe("bcea");
  });

  test("as text where one is no number", () => {
    expect(order("year", false, [d, b, a])).toBe("abd");
  });

  test("a document without the label is named", () => {
    expect(() => order("party", false, [a, c])).toThrow(/c: expected the label party/);
  });
});
