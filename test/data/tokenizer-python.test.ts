// What Hugging Face's own libraries make of the tokenizers we write.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import {
  addTokens,
  openCorpus,
  Tokenizer,
  tokenizerConfig,
  trainBpe,
} from "../../src/data/index.ts";
import { forEachWord } from "../../src/data/words.ts";
import { python } from "../support/python.ts";
import { folderWith } from "./support.ts";

async function someSpeeches(every: number): Promise<string[]> {
  const texts: string[] = [];
  let i = 0;
  for await (const { text } of openCorpus({ kind: "sotu" }).documents()) {
    if (i++ % every === 0) texts.push(text);
  }
  return texts;
}

const nasty = [
  "",
  " ",
  "   ",
  "\n\n\n",
  "\t\r\n x",
  "it's IT'S we'll 'tis ''s",
  "e\u0301 é ﬁ ǆ ß İ",
  "漢字かな交じり文 한국어 ไทย العربية עברית",
  "🎉👩‍👩‍👧👍🏽 🇩🇪",
  "½ ² ① ٣ Ⅷ",
  "\u0000\u0001\u0007\u001b[31m\u007f",
  "a\u00a0b\u0085c\u2028d\ufeffe\u200bf\u3000g\u180eh",
  "\ufefftext",
  "x<|endoftext|>y <|endoftext|>",
  "    if (x) {\n\t\treturn y;\n    }\n\n\n  ",
  "-----=====_____#####",
  "a".repeat(3000),
  "1234567890".repeat(50),
];

const encodeScript = `
import json, sys
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast
folder = sys.argv[1]
texts = json.load(open(folder + "/texts.json", encoding="utf-8"))
plain = Tokenizer.from_file(folder + "/tokenizer.json")
plain.encode_special_tokens = True
ids = [plain.encode(t).ids for t in texts]
fast = PreTrainedTokenizerFast(tokenizer_file=folder + "/tokenizer.json")
auto = AutoTokenizer.from_pretrained(folder)
same = all(
    t(text, add_special_tokens=True, split_special_tokens=True)["input_ids"] == i
    for t in (fast, auto) for text, i in zip(texts, ids)
)
decoded = [plain.decode(i) for i in ids]
print(json.dumps({
    "ids": ids, "same": same, "round": [d == t for d, t in zip(decoded, texts)],
    "eot": plain.token_to_id("<|endoftext|>"), "matched": auto("<|endoftext|>")["input_ids"],
    "size": [plain.get_vocab_size(), len(auto)], "bos": auto.bos_token_id, "eos": auto.eos_token_id,
    "longest": auto.model_max_length,
}))
`;

python.test("tokenizers and transformers give the same ids, special tokens split", async (run) => {
  const speeches = await someSpeeches(12);
  const tokenizer = Tokenizer.load(await trainBpe(speeches, 1024));
  const texts = [...speeches, ...nasty];
  const folder = folderWith({ "texts.json": JSON.stringify(texts) });
  tokenizer.save(join(folder, "tokenizer.json"));
  writeFileSync(
    join(folder, "tokenizer_config.json"),
    JSON.stringify(tokenizerConfig(tokenizer, 128)),
  );
  const got = JSON.parse(await run(encodeScript, [folder]));
  for (const [i, text] of texts.entries()) {
    expect(got.ids[i], JSON.stringify(text.slice(0, 40))).toEqual([...tokenizer.encode(text)]);
  }
  expect(got.same).toBe(true);
  expect(got.round).not.toContain(false);
  expect(got.size).toEqual([1024, 1024]);
  expect([got.eot, got.bos, got.eos]).toEqual([0, 0, 0]);
  expect(got.matched).toEqual([0]);
  expect(got.longest).toBe(128);
});

const trainScript = `
import json, sys
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
texts = json.load(open(sys.argv[1] + "/texts.json", encoding="utf-8"))
t = Tokenizer(models.BPE())
t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
t.train_from_iterator(texts, trainers.BpeTrainer(
    vocab_size=2000, min_frequency=2, special_tokens=["<|endoftext|>"], show_progress=False,
    initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
model = json.loads(t.to_str())["model"]
print(json.dumps({"vocab": model["vocab"], "merges": [" ".join(m) for m in model["merges"]]}))
`;

python.test("training gives the tokens, ids and merges of Hugging Face's trainer", async (run) => {
  const speeches = await someSpeeches(8);
  const folder = folderWith({ "texts.json": JSON.stringify(speeches) });
  const peer = JSON.parse(await run(trainScript, [folder]));
  const { vocab, merges } = (await trainBpe(speeches, 2000)).model;
  expect(merges).toEqual(peer.merges);
  expect(vocab).toEqual(peer.vocab);
});

// Python's unicodedata is older than Node's tables and the library's, so what it knows both know.
const classesScript = `
import sys, unicodedata
from tokenizers.pre_tokenizers import ByteLevel
p = ByteLevel(add_prefix_space=False)
def joins(s): return len(p.pre_tokenize_str(s)) == 1
out = []
for cp in range(0x110000):
    c = chr(cp)
    if unicodedata.category(c) in ("Cn", "Cs"): out.append("?")
    else: out.append("L" if joins("a" + c) else "N" if joins("1" + c) else "o" if joins("!" + c) else "s")
print("".join(out))
`;

python.test("every character is a letter, number, space or other as in tokenizers", async (run) => {
  const classes = (await run(classesScript)).trim();
  const isOneWord = (text: string): boolean => {
    let n = 0;
    forEachWord(text, () => n++);
    return n === 1;
  };
  const different: string[] = [];
  for (let codePoint = 0; codePoint < 0x110000; codePoint++) {
    if (classes[codePoint] === "?") continue;
    const c = String.fromCodePoint(codePoint);
    const ours = isOneWord(`a${c}`)
      ? "L"
      : isOneWord(`1${c}`)
        ? "N"
        : isOneWord(`!${c}`)
          ? "o"
          : "s";
    if (ours !== classes[codePoint]) different.push(codePoint.toString(16));
  }
  expect(different).toEqual([]);
});

const foreignScript = `
import json, sys
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers as pre, trainers
folder, kind = sys.argv[1:3]
texts = json.load(open(folder + "/texts.json", encoding="utf-8"))
t = Tokenizer(models.BPE())
if kind == "neox":
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre.ByteLevel(add_prefix_space=False)
else:
    llama3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
    t.pre_tokenizer = pre.Sequence([
        pre.Split(Regex(llama3), behavior="isolated"), pre.ByteLevel(add_prefix_space=False, use_regex=False)])
t.decoder = decoders.ByteLevel()
eot = "<|endoftext|>" if kind == "neox" else "<|begin_of_text|>"
t.train_from_iterator(texts, trainers.BpeTrainer(
    vocab_size=900, special_tokens=[eot], show_progress=False, initial_alphabet=pre.ByteLevel.alphabet()))
if kind == "neox": t.add_tokens([AddedToken(" " * n, normalized=True) for n in range(8, 1, -1)])
t.save(folder + "/tokenizer.json")
t.encode_special_tokens = True
ids = [t.encode(x).ids for x in texts]
print(json.dumps({"ids": ids, "text": [t.decode(i) for i in ids], "eot": t.token_to_id(eot)}))
`;

for (const kind of ["neox", "llama3"]) {
  python.test(
    `a tokenizer of the ${kind} kind that Python wrote gives the same ids`,
    async (run) => {
      const texts = [
        ...(await someSpeeches(60)),
        "it's  IT'S\n\n  x12345",
        "    a     b",
        "<|endoftext|>",
      ];
      const folder = folderWith({ "texts.json": JSON.stringify(texts) });
      const peer = JSON.parse(await run(foreignScript, [folder, kind]));
      const tokenizer = Tokenizer.load(folder);
      expect(tokenizer.endOfText).toBe(peer.eot);
      for (const [i, text] of texts.entries()) {
        const ids = tokenizer.encode(text);
        expect([...ids], JSON.stringify(text.slice(0, 40))).toEqual(peer.ids[i]);
        expect(tokenizer.decode(ids)).toBe(peer.text[i]);
      }
    },
  );
}

const addedScript = `
import json, sys
from transformers import AutoTokenizer
was, grown = [AutoTokenizer.from_pretrained(folder) for folder in sys.argv[1:3]]
texts = json.loads(sys.argv[3])
names = ["<user>", "two words", "é\\u0301<"]
was.add_tokens(names)
print(json.dumps({"ids": [grown(t)["input_ids"] for t in texts], "theirs": [was(t)["input_ids"] for t in texts],
    "size": len(grown), "text": [grown.decode(grown(t)["input_ids"]) for t in texts]}))
`;

python.test(
  "tokens that are added are those that transformers would have added, and its ids are ours",
  async (run) => {
    const tokenizer = Tokenizer.load(await trainBpe(await someSpeeches(60), 400));
    const config = JSON.stringify(tokenizerConfig(tokenizer, 128));
    const folder = folderWith({ "tokenizer_config.json": config });
    tokenizer.save(join(folder, "tokenizer.json"));
    const names = ["<user>", "two words", "é\u0301<"];
    const where = { where: "tokenizer.json", source: "tokens.txt" };
    const { json, vocabSize } = addTokens(tokenizer.toJSON(), names, where);
    const grown = folderWith({
      "tokenizer_config.json": config,
      "tokenizer.json": JSON.stringify(json),
    });
    const texts = ["<user>some two wordsé\u0301<<user>", "no token, two  words", "<use r>"];
    const answer = JSON.parse(await run(addedScript, [folder, grown, JSON.stringify(texts)]));
    expect(vocabSize).toBe(403);
    expect(answer.size).toBe(403);
    expect(answer.ids).toEqual(answer.theirs);
    expect(answer.ids[0]).toContain(402);
    expect(answer.text).toEqual(texts);
    const ours = Tokenizer.load(grown);
    expect(texts.map((text) => [...ours.encode(text)])).toEqual(answer.ids);
  },
);
