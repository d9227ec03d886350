import fc from "fast-check";
import { expect, test } from "vitest";
import { buildTasks, chooseTask, type TaskSource } from "../../../circuits/index.ts";
import { bigramPrompts } from "../../../circuits/tasks/bigrams.ts";
import { inductionPrompts } from "../../../circuits/tasks/induction.ts";
import { packPrompts, promptDigest, splitPrompts } from "../../../circuits/tasks/prompts.ts";
import { quoteKind, quotePrompts } from "../../../circuits/tasks/quotes.ts";
import { createRng } from "../../../src/engine/index.ts";

/** Rows of `context` ids from a list of words, each row starting with end-of-text (id 0). */
function corpus(texts: readonly string[][], context: number): TaskSource {
  const tokens = ["<|endoftext|>", ...new Set(texts.flat())];
  const id = new Map(tokens.map((token, i) => [token, i]));
  const rows = texts.flatMap((words) => {
    const found: number[][] = [];
    for (let at = 0; at + context - 1 <= words.length; at += context - 1) {
      found.push([0, ...words.slice(at, at + context - 1).map((word) => id.get(word)!)]);
    }
    return found;
  });
  const set = { ids: Int32Array.from(rows.flat()), nSeq: rows.length, context };
  return { tokens, endOfText: 0, train: set, heldOut: { ...set, ids: new Int32Array(0), nSeq: 0 } };
}

/** Text in which " a0" is always followed by " b0" and so on, with fillers between. */
function pairedText(pairs: number, length: number): string[] {
  const rng = createRng("text");
  const words: string[] = [];
  while (words.length < length) {
    const i = rng.int(pairs);
    words.push(` a${i}`, ` b${i}`, ` filler${"xyzuvwst"[rng.int(8)]}`);
  }
  return words;
}

test("induction prompts repeat a random segment, and corruption swaps the answer with a later token", () => {
  const source = corpus([pairedText(10, 4000)], 64);
  const set = inductionPrompts(source, 20, createRng(0));
  if ("reason" in set) throw new Error(set.reason);
  expect(set.length).toBe(1 + 12 + 6); // end of text, the segment, half of it again
  for (let row = 0; row < set.n; row++) {
    const clean = Array.from(set.clean.subarray(row * set.length, (row + 1) * set.length));
    const corrupted = Array.from(set.corrupted.subarray(row * set.length, (row + 1) * set.length));
    const last = clean.at(-1)!;
    expect(clean[0]).toBe(0);
    expect(clean[clean.indexOf(last) + 1]).toBe(set.answer[row]);
    expect(corrupted[corrupted.indexOf(last) + 1]).toBe(set.wrong[row]);
    expect([...clean].sort()).toEqual([...corrupted].sort()); // same tokens in both
    expect(clean.filter((id, i) => id !== corrupted[i])).toHaveLength(2);
  }
});

test("bigram prompts end in the first token of one frequent bigram, corrupted in that of another", () => {
  const source = corpus([pairedText(10, 4000)], 32);
  const set = bigramPrompts(source, 12, createRng(0));
  if ("reason" in set) throw new Error(set.reason);
  expect(set.n).toBe(12);
  for (let row = 0; row < set.n; row++) {
    const at = (row + 1) * set.length - 1;
    const names = [set.clean[at], set.answer[row], set.corrupted[at], set.wrong[row]].map(
      (id) => source.tokens[id],
    );
    if (names[0].startsWith(" a")) expect(names[1]).toBe(names[0].replace("a", "b"));
    if (names[2].startsWith(" a")) expect(names[3]).toBe(names[2].replace("a", "b"));
    expect(names[0]).not.toBe(names[2]);
    expect(set.clean.subarray(row * set.length, at)).toEqual(
      set.corrupted.subarray(row * set.length, at),
    );
  }
});

test("bigram contexts come from the held-out sequences while these have an occurrence", () => {
  const source = corpus([pairedText(10, 2000)], 32);
  // held out: the same text with one filler that training never has
  const marked = source.tokens.length;
  const heldOut = {
    ...source.train,
    ids: source.train.ids.map((id) => (source.tokens[id] === " fillerx" ? marked : id)),
  };
  const set = bigramPrompts(
    { ...source, tokens: [...source.tokens, " marked"], heldOut },
    20,
    createRng(0),
  );
  if ("reason" in set) throw new Error(set.reason);
  expect(set.clean.includes(source.tokens.indexOf(" fillerx"))).toBe(false);
  expect(set.clean.includes(marked)).toBe(true);
});

test("tokens with double quotes are told apart as opening, closing, bare and others", () => {
  expect([' "', "“", '"', '."', '",', "”", 'x"y', " word", "'"].map(quoteKind)).toEqual([
    "open",
    "open",
    "mark",
    "close",
    "close",
    "close",
    "other",
    null,
    null,
  ]);
});

test("quote prompts stop before the closing quote and lose the opening one when corrupted", () => {
  const words: string[] = [];
  const rng = createRng(5);
  for (let i = 0; i < 200; i++) {
    for (let w = 0; w < 20; w++) words.push(rng.int(2) === 0 ? " the" : ` w${rng.int(8)}`);
    words.push(' "', ` w${rng.int(8)}`, " said", ` w${rng.int(8)}`, '"');
  }
  const set = quotePrompts(corpus([words], 64), 24, createRng(0));
  if ("reason" in set) throw new Error(set.reason);
  const { tokens } = corpus([words], 64);
  expect(set.n).toBe(24);
  for (let row = 0; row < set.n; row++) {
    const clean = Array.from(set.clean.subarray(row * set.length, (row + 1) * set.length));
    const corrupted = Array.from(set.corrupted.subarray(row * set.length, (row + 1) * set.length));
    expect(tokens[set.answer[row]]).toBe('"');
    expect(quoteKind(tokens[set.wrong[row]])).toBeNull();
    const changed = clean.flatMap((id, i) => (id === corrupted[i] ? [] : [i]));
    expect(changed).toHaveLength(1);
    expect(tokens[clean[changed[0]]]).toBe(' "');
    expect(tokens[corrupted[changed[0]]]).toBe(" the");
  }
});

test("a bare quote token opens after a space and closes after anything else", () => {
  const words: string[] = [];
  const rng = createRng(6);
  for (let i = 0; i < 200; i++) {
    for (let w = 0; w < 20; w++)
      words.push(rng.int(2) === 0 ? " the" : [" x", " y", " z"][rng.int(3)]);
    words.push(" ", '"', "said", ` w${rng.int(8)}`, " x", '"');
  }
  const source = corpus([words], 64);
  const set = quotePrompts(source, 16, createRng(0));
  if ("reason" in set) throw new Error(set.reason);
  for (let row = 0; row < set.n; row++) {
    const at = (row + 1) * set.length - 1;
    expect(source.tokens[set.answer[row]]).toBe('"');
    expect(source.tokens[set.clean[at]]).toBe(" x"); // never cut before an opening quote
  }
});

test("a task without material is not applicable, with its reason", () => {
  const [induction, bigram, quote] = buildTasks(
    corpus([[" x", " y", " x", " y", " x", " y", " x", " y"]], 4),
    8,
    createRng(0),
  );
  expect(induction).toMatchObject({ task: "induction", reason: expect.stringContaining("short") });
  expect(bigram).toMatchObject({ task: "bigram", reason: expect.stringContaining("needed") });
  expect(quote).toMatchObject({ task: "quote", reason: expect.stringContaining("only 0 spans") });
});

test("the first task that is done is chosen, and none when none is", () => {
  const figure = { applicable: true, reason: null, n: 4, m_full: 1, m_empty: 0, se: 0.1 };
  const figures = (["induction", "bigram", "quote"] as const).map((task, i) => ({
    ...figure,
    task,
    difference: 1,
    done: i > 0,
  }));
  expect(chooseTask(figures)).toBe("bigram");
  expect(chooseTask(figures.map((f) => ({ ...f, done: false })))).toBeNull();
});

test("halves are disjoint and complete, and the digest tells prompts apart", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 30 }), (n) => {
      const set = packPrompts(
        "bigram",
        Array.from({ length: n }, (_, i) => ({
          clean: [0, i, i],
          corrupted: [0, i, i + 1],
          answer: i,
          wrong: i + 1,
        })),
      );
      const { discovery, evaluation } = splitPrompts(set);
      expect([...discovery.answer, ...evaluation.answer].sort((a, b) => a - b)).toEqual(
        Array.from({ length: n }, (_, i) => i),
      );
      expect(promptDigest(set)).toBe(promptDigest(set));
      expect(promptDigest(discovery)).not.toBe(promptDigest(set));
    }),
  );
});

test("unequal lengths and prompts that are not corrupted are refused", () => {
  const pair = { answer: 0, wrong: 1 };
  expect(() => packPrompts("quote", [{ clean: [1, 2], corrupted: [1], ...pair }])).toThrow(
    "internal: quote prompt 0",
  );
  expect(() => packPrompts("quote", [{ clean: [1], corrupted: [1], ...pair }])).toThrow(
    "not corrupted",
  );
  expect(() => packPrompts("quote", [])).toThrow("no prompts");
});

test("the same seed gives the same prompts, another seed others", () => {
  const source = corpus([pairedText(10, 4000)], 32);
  const digests = [1, 1, 2].map((seed) =>
    buildTasks(source, 16, createRng(seed)).map((task) =>
      "reason" in task ? task.reason : promptDigest(task),
    ),
  );
  expect(digests[0]).toEqual(digests[1]);
  expect(digests[0].slice(0, 2)).not.toEqual(digests[2].slice(0, 2));
});
