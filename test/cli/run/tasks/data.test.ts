// The data task: whose tokenizer it takes, and that a tokenizer its model can't follow is refused.
import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { resolvePlan } from "../../../../cli/plan/index.ts";
import type { CorpusInput, PlanInput, ResolvedPlan } from "../../../../cli/plan/types.ts";
import { TaskContext } from "../../../../cli/run/task-context.ts";
import { type CorpusRecord, dataTask } from "../../../../cli/run/tasks/data.ts";
import { readTokenSet, Tokenizer, type TokenSet } from "../../../../src/data/index.ts";
import { createRng } from "../../../../src/engine/index.ts";
import { gpt2Config, initGpt2, saveModel } from "../../../../src/models/index.ts";
import { temporaryFolder } from "../../../support/folder.ts";
import { makeSmallRun } from "../../../support/small-run.ts";

const at = temporaryFolder();

function run(plan: ResolvedPlan, stage = 0, notes: string[] = []): Promise<string[]> {
  const task = { id: "data", stage, title: "corpus", needs: [], cost: 1 };
  const spec = { kind: "data", stage } as const;
  const context = new TaskContext(
    at("run"),
    plan,
    { ...task, spec },
    ({ note }) => {
      if (note) notes.push(note);
    },
    () => false,
  );
  return dataTask(context, stage);
}

test("a model's tokenizer is taken, also where the model has ids to spare, but not one with more tokens", async () => {
  const small = await makeSmallRun(at("small"));
  const { vocabSize } = Tokenizer.load(join(small.model, "tokenizer.json"));
  const plan = (vocab_size: number): PlanInput => {
    const path = at(`vocabulary ${vocab_size}`);
    const sizes = { n_positions: 16, n_embd: 4, n_layer: 1, n_head: 1 };
    saveModel(path, initGpt2(gpt2Config({ vocab_size, ...sizes }), createRng(0)));
    cpSync(join(small.model, "tokenizer.json"), join(path, "tokenizer.json"));
    return { data: { path: small.text, context: 16 }, model: { path } };
  };
  await expect(run(resolvePlan(plan(vocabSize - 1), "/", "plan.yaml"))).rejects.toMatchObject({
    name: "UsageError",
    code: "tokenizer-mismatch",
    where: at(`vocabulary ${vocabSize - 1}`, "tokenizer.json"),
    expected: `at most the model's ${vocabSize - 1} tokens`,
  });
  expect(existsSync(at("run", "data"))).toBe(false);
  const outputs = await run(resolvePlan(plan(vocabSize + 3), "/", "plan.yaml"));
  for (const path of outputs) expect(existsSync(at("run", path))).toBe(true);
  const { ids, nSeq } = readTokenSet(at("run", "data", "train.safetensors"), vocabSize);
  expect(nSeq).toBeGreaterThan(0);
  expect(ids.length).toBe(nSeq * 16);
});

describe("a stage with text of its own", () => {
  const record = (dir: string): CorpusRecord =>
    JSON.parse(readFileSync(at("run", dir, "corpus.json"), "utf8"));
  const hashes = ({ documents }: CorpusRecord, side: boolean): Set<string> =>
    new Set(documents.flatMap(({ sha256, held_out }) => (held_out === side ? [sha256] : [])));

  /** Documents of different words, ids `from` … `to`, as JSONL with a year and a quality. */
  function lines(from: number, to: number): string {
    const text: string[] = [];
    for (let id = from; id < to; id++) {
      const rng = createRng(`document ${id}`);
      const words = Array.from({ length: 60 }, () => `w${rng.int(40)}`).join(" ");
      text.push(JSON.stringify({ text: words, year: 1800 + id, quality: ((id * 7) % 10) / 10 }));
    }
    return `${text.join("\n")}\n`;
  }

  function plan(stages: PlanInput["stages"]): ResolvedPlan {
    writeFileSync(at("base.jsonl"), lines(0, 40));
    // half of it is the base's, in another order and with other white space
    writeFileSync(at("own.jsonl"), lines(20, 60).replaceAll(" w1 ", "  w1\\n"));
    return resolvePlan(
      {
        data: { corpus: "jsonl", path: "base.jsonl", context: 16, held_out: 0.2 },
        tokenizer: { vocab_size: 270 },
        stages,
      },
      at(),
      "plan.yaml",
    );
  }

  test("what is held out anywhere is trained on nowhere, in each stage and across them", async () => {
    const own = { corpus: "jsonl", path: "own.jsonl" } as const;
    const both = plan([
      { expand: { width: "2x" }, data: own },
      { expand: { layers: "+1" }, data: { filter: { year: { max: 1829 } } } },
    ]);
    for (const stage of [0, 1, 2]) await run(both, stage);
    const dirs = ["data", "stages/01-wider/data", "stages/02-deeper/data"];
    const records = dirs.map(record);
    const [trained, heldOut] = [false, true].map((side) => records.map((one) => hashes(one, side)));
    for (const a of trained) {
      for (const b of heldOut) expect([...a].filter((hash) => b.has(hash))).toEqual([]);
    }
    expect(records.map(({ documents }) => documents.length)).toEqual([40, 40, 30]);
    // documents 20 to 39 are in both: those held out in the base are held out again
    const again = [...heldOut[0]].filter((hash) => heldOut[1].has(hash));
    const baseOf = records[0].documents.slice(20).filter(({ held_out }) => held_out);
    expect(again).toHaveLength(baseOf.length);
    expect(baseOf.length).toBeGreaterThan(0);
    // the new half is split by the share too
    expect(heldOut[1].size - again.length).toBe(4);
    // the token sets are what the record says
    for (const [i, dir] of dirs.entries()) {
      const sides = ["train", "held-out"].map((name) =>
        readTokenSet(at("run", dir, `${name}.safetensors`)),
      );
      const sidesOf = sides.map(
        ({ doc }) => new Set([...doc].map((d) => records[i].documents[d].held_out)),
      );
      expect(sidesOf).toEqual([new Set([false]), new Set([true])]);
    }
  });

  test("sequences lie in the order of a label, up or down, and a bound on tokens takes the first ones", async () => {
    const yearsOf = (dir: string): number[] => {
      const { documents } = record(dir);
      const set: TokenSet = readTokenSet(at("run", dir, "train.safetensors"));
      return [...new Set(set.doc)].map((doc) => Number(documents[doc].meta.year));
    };
    const ordered = plan([
      {
        name: "old",
        expand: { width: "2x" },
        data: { order: { by: "year" }, filter: { year: { max: 1815 } } },
      },
      {
        name: "new",
        expand: { width: "2x" },
        data: { order: { by: "year", descending: true }, max_tokens: 1000 },
      },
      {
        name: "best",
        expand: { width: "2x" },
        data: { order: { by: "quality", descending: true } },
      },
    ]);
    for (const stage of [0, 1, 2, 3]) await run(ordered, stage);
    const old = yearsOf("stages/01-old/data");
    expect(old).toEqual([...old].sort((a, b) => a - b));
    expect(Math.max(...old)).toBeLessThanOrEqual(1815);
    const late = yearsOf("stages/02-new/data");
    expect(late).toEqual([...late].sort((a, b) => b - a));
    expect(Math.max(...late)).toBeGreaterThan(1835);
    expect(Math.min(...late)).toBeGreaterThan(1815);
    const { documents } = record("stages/03-best/data");
    const qualities = documents.map(({ meta }) => Number(meta.quality));
    expect(qualities).toEqual([...qualities].sort((a, b) => b - a));
  });

  test("a label that isn't there and a filter that nothing passes are refused with the labels", async () => {
    const refusal = async (data: CorpusInput): Promise<unknown> => {
      const wrong = plan([{ expand: { width: "2x" }, data }]);
      await run(wrong);
      return run(wrong, 1).catch((error: unknown) => error);
    };
    expect(await refusal({ order: { by: "yaer" } })).toMatchObject({
      name: "UsageError",
      got: "labels: year, quality",
    });
    expect(await refusal({ filter: { yaer: { min: 1800 } } })).toMatchObject({
      got: "no document with the label yaer",
      hint: "its labels: year, quality",
    });
    expect(await refusal({ filter: { year: { min: 2000 } } })).toMatchObject({
      got: "none passes",
    });
  });

  test("text that the base's tokenizer fits badly is said to be so", async () => {
    const strange = Array.from({ length: 8 }, (_, i) =>
      JSON.stringify({ text: "日本語の文書です。".repeat(10 + i) }),
    ).join("\n");
    const notes: string[] = [];
    const other = plan([{ expand: { width: "2x" }, data: { path: "own.jsonl", corpus: "jsonl" } }]);
    await run(other, 0, notes);
    await run(other, 1, notes);
    expect(notes).toEqual([]);
    writeFileSync(at("own.jsonl"), strange);
    await run(other, 1, notes);
    expect(notes).toHaveLength(1);
    expect(notes[0]).toMatch(
      /fits this text badly: \d\.\d\d bytes a token, \d\.\d\d on the base's/,
    );
  });
});
