import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { openCorpus, Tokenizer, type TokenizerJson, trainBpe } from "../../src/data/index.ts";
import { fileWith, folderWith, refusal } from "./support.ts";

let json: TokenizerJson;
let tokenizer: Tokenizer;
const speeches: string[] = [];

beforeAll(async () => {
  for await (const { text } of openCorpus({ kind: "sotu" }).documents()) {
    speeches.push(text);
    if (speeches.length === 20) break;
  }
  json = await trainBpe(speeches, 700);
  tokenizer = Tokenizer.load(json);
});

test("a vocabulary is <|endoftext|>, the 256 bytes and merges, of the size asked for", () => {
  expect(tokenizer.vocabSize).toBe(700);
  expect(tokenizer.endOfText).toBe(0);
  expect(tokenizer.decode([0])).toBe("<|endoftext|>");
  expect(json.model.merges).toHaveLength(700 - 257);
  expect(tokenizer.encode(" the")).toHaveLength(1);
});

test("decode(encode(s)) is s for any text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (s) => {
      expect(tokenizer.decode(tokenizer.encode(s))).toBe(s);
    }),
    { numRuns: 500 },
  );
});

test("decode(encode(s)) is s for byte-order marks, controls, emoji and long words", () => {
  for (const s of ["", "\ufeffa\ufeff", "\u0000\u0007\r\n", "👩‍👩‍👧 é\u0301", "a".repeat(20_000)]) {
    expect(tokenizer.decode(tokenizer.encode(s))).toBe(s);
  }
});

test("a word of many thousand characters is encoded in no time, not in its square", () => {
  const word = "the".repeat(100_000);
  const ids = tokenizer.encode(word); // the square would take minutes: the test's time limit
  expect(tokenizer.decode(ids)).toBe(word);
});

test("<|endoftext|> inside a text is data: it is never read as the special token", () => {
  const ids = tokenizer.encode("a<|endoftext|>b");
  expect(ids).not.toContain(tokenizer.endOfText);
  expect(tokenizer.decode(ids)).toBe("a<|endoftext|>b");
});

test("ids are those of @huggingface/tokenizers", () => {
  const peer = new HuggingFaceTokenizer(json, { clean_up_tokenization_spaces: false });
  const texts = [
    ...speeches.slice(0, 3),
    "naïve 漢字 🎉  \n\n x'll 're\t12½",
    "    indented\n\n\n",
  ];
  for (const text of texts) {
    expect([...tokenizer.encode(text)]).toEqual(peer.encode(text).ids);
  }
});

test("the same text gives the same tokenizer, in whatever pieces it comes", async () => {
  expect(await trainBpe(speeches, 700)).toEqual(json);
  expect(await trainBpe([...speeches].reverse(), 700)).toEqual(json);
});

test("a corpus too small for the vocabulary gives a smaller one", async () => {
  const small = Tokenizer.load(await trainBpe(["aa aa aa"], 1000));
  expect(small.vocabSize).toBe(257 + 2); // "aa" and " aa"
});

test("training looks at no more characters than it is told to", async () => {
  expect(await trainBpe(["ab ab ab", "cd cd cd"], 300, { maxCharacters: 8 })).toEqual(
    await trainBpe(["ab ab ab"], 300),
  );
});

test("a vocabulary that can't hold the bytes is refused", async () => {
  expect((await refusal(() => trainBpe(["a"], 256))).message).toMatch(/at least 257.*got 256/);
  expect((await refusal(() => trainBpe(["a"], 300.5))).code).toBe("vocabulary-size");
  expect((await refusal(() => trainBpe(["a"], 2 ** 21))).message).toMatch(/at most/);
});

test("a saved tokenizer comes back the same, from its file or its folder, with the same bytes", () => {
  const folder = folderWith();
  const path = join(folder, "tokenizer.json");
  tokenizer.save(path);
  const bytes = readFileSync(path);
  for (const from of [path, folder]) {
    const again = Tokenizer.load(from);
    expect(again.encode(speeches[0])).toEqual(tokenizer.encode(speeches[0]));
    again.save(path);
    expect(readFileSync(path)).toEqual(bytes);
  }
});

test("token strings are printable, one for each id", () => {
  const strings = tokenizer.tokenStrings();
  expect(strings).toHaveLength(700);
  expect(strings[0]).toBe("<|endoftext|>");
  const of = (text: string): string => strings[tokenizer.encode(text)[0]];
  expect(of(" the")).toBe(" the");
  expect(of("\n")).toBe("\\n");
  expect(of("\u0007")).toBe("\\u{7}");
  expect(of("é")).toBe("\\xC3");
  for (const s of strings) expect(s).not.toMatch(/[\p{C}\p{Zl}\p{Zp}\ufffd]/u);
});

test("an id outside the vocabulary is refused", async () => {
  expect((await refusal(() => tokenizer.decode([1, 700]))).message).toMatch(/0 to 699, got 700/);
  expect((await refusal(() => tokenizer.decode([Number.NaN]))).code).toBe("token-id");
});

// GPT-2's own file: no model type, empty prefix and suffix, merges as strings, <|endoftext|> last and in the vocabulary too.
function gpt2Like(): TokenizerJson {
  const ours = Object.entries(json.model.vocab).filter(([token]) => token !== "<|endoftext|>");
  const vocab = Object.fromEntries(ours.map(([token, id]) => [token, id - 1]));
  const last = ours.length;
  const { type: _, ...model } = json.model;
  return {
    ...json,
    added_tokens: [{ ...json.added_tokens[0], id: last, normalized: true }],
    model: {
      ...model,
      continuing_subword_prefix: "",
      end_of_word_suffix: "",
      vocab: { ...vocab, "<|endoftext|>": last },
    },
  };
}

test("a tokenizer of GPT-2's own layout loads and gives the same words", () => {
  const other = Tokenizer.load(gpt2Like());
  expect(other.vocabSize).toBe(700);
  expect(other.endOfText).toBe(699);
  const text = speeches[1];
  expect([...other.encode(text)]).toEqual([...tokenizer.encode(text)].map((id) => id - 1));
  expect(other.decode([...other.encode(text), 699])).toBe(`${text}<|endoftext|>`);
});

test("merges as pairs of strings are read like merges in one string", () => {
  const merges = json.model.merges.map((m) => (m as string).split(" ") as [string, string]);
  const other = Tokenizer.load({ ...json, model: { ...json.model, merges } });
  expect(other.encode(speeches[0])).toEqual(tokenizer.encode(speeches[0]));
});

test("a prefix space and ignored merges are respected", () => {
  const prefixed = Tokenizer.load({
    ...json,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: true },
  });
  expect(prefixed.encode("the law")).toEqual(tokenizer.encode(" the law"));
  expect(prefixed.encode("")).toHaveLength(0);
  const vocab = { ...json.model.vocab, zzz: 700 };
  const ignoring = Tokenizer.load({
    ...json,
    model: { ...json.model, vocab, ignore_merges: true },
  });
  expect([...ignoring.encode("zzz")]).toEqual([700]);
  expect(Tokenizer.load({ ...json, model: { ...json.model, vocab } }).encode("zzz")).toHaveLength(
    3,
  );
});

test("a tokenizer of NeoX's kind (normalizer, runs of spaces as tokens) goes through Hugging Face's library", () => {
  const spaces = { ...json.added_tokens[0], id: 700, content: "    ", special: false };
  const neox = Tokenizer.load({
    ...json,
    normalizer: { type: "NFC" },
    added_tokens: [...json.added_tokens, spaces],
  });
  expect(neox.vocabSize).toBe(701);
  const ids = neox.encode("    e\u0301<|endoftext|>");
  expect(ids[0]).toBe(700);
  expect(ids).not.toContain(0);
  expect(neox.decode([0, ...ids])).toBe("<|endoftext|>    é<|endoftext|>");
  expect(neox.tokenStrings()).toEqual([...tokenizer.tokenStrings(), "    "]);
});

test("other model types are refused by name", async () => {
  for (const type of ["Unigram", "WordPiece", "WordLevel"]) {
    const path = fileWith(
      JSON.stringify({ ...json, model: { type, vocab: [] } }),
      "tokenizer.json",
    );
    const error = await refusal(() => Tokenizer.load(path));
    expect(error.message).toContain(`tokenizer.json: model.type: expected "BPE"`);
    expect(error.message).toContain(`got "${type}"`);
  }
});

test("a malformed tokenizer is refused with the field that is wrong", async () => {
  const { model } = json;
  const broken: [unknown, RegExp][] = [
    [[], /a JSON object/],
    [{ ...json, model: null }, /model: expected an object, got null/],
    [{ ...json, model: {} }, /model.type/],
    [{ ...json, model: { ...model, vocab: [] } }, /model.vocab: .* got a list/],
    [
      { ...json, model: { ...model, vocab: {}, merges: [] }, added_tokens: [] },
      /at least one token/,
    ],
    [{ ...json, model: { ...model, vocab: { ...model.vocab, q: -1 } } }, /\["q"\].*got -1/],
    [{ ...json, model: { ...model, vocab: { ...model.vocab, qq: 5 } } }, /an id of its own/],
    [{ ...json, model: { ...model, vocab: { a: 1e9 } } }, /an id from 0/],
    [{ ...json, model: { ...model, merges: {} } }, /model.merges: expected a list/],
    [{ ...json, model: { ...model, merges: ["a"] } }, /model.merges\[0\]: expected two tokens/],
    [{ ...json, model: { ...model, merges: ["a b c"] } }, /two tokens/],
    [{ ...json, model: { ...model, merges: ["a qzq"] } }, /tokens of model.vocab, got "qzq"/],
    [{ ...json, model: { ...model, dropout: 0.1 } }, /dropout/],
    [{ ...json, added_tokens: {} }, /added_tokens: expected a list/],
    [{ ...json, added_tokens: [{ id: "0", content: "x" }] }, /added_tokens\[0\].id/],
    [{ ...json, added_tokens: [{ id: 3 }] }, /content: expected a string, got nothing/],
    [{ ...json, pre_tokenizer: "ByteLevel" }, /pre_tokenizer: expected null or an object/],
    [{ ...json, pre_tokenizer: { type: "Martian" } }, /Unknown PreTokenizer type|Martian/],
  ];
  for (const [value, message] of broken) {
    expect((await refusal(() => Tokenizer.load(value as TokenizerJson))).message).toMatch(message);
  }
  const { "<|endoftext|>": _, ...vocab } = model.vocab;
  const without = { ...json, added_tokens: [], model: { ...model, vocab } };
  expect((await refusal(() => Tokenizer.load(without))).message).toMatch(/begins a sequence/);
});

test("a tokenizer file that is missing or not JSON is refused with its path", async () => {
  const folder = folderWith({ "tokenizer.json": "{" });
  expect((await refusal(() => Tokenizer.load(folder))).message).toContain(folder);
  expect((await refusal(() => Tokenizer.load(join(folder, "none.json")))).message).toMatch(
    /no such/,
  );
});
