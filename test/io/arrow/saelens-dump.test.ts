import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  ActivationDump,
  ArrowReader,
  fixedList,
  float32,
  int32,
  list,
  readArrow,
  type SaelensDumpSpec,
  type SequenceBatch,
  UsageError,
  writeArrowTable,
  writeSaelensDump,
} from "../../../src/io/index.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { python } from "../../support/python.ts";

const folder = temporaryFolder();

const spec: SaelensDumpSpec = {
  hooks: [
    { name: "blocks.0.hook_resid_post", width: 3 },
    { name: "blocks.0.hook_mlp_out", width: 2 },
  ],
  context: 4,
};

/** n sequences from number `start`, with numbers that count up. */
function sequences(start: number, n: number): SequenceBatch {
  const count = (from: number, length: number) => Float32Array.from({ length }, (_, i) => from + i);
  return {
    tokenIds: Int32Array.from({ length: 4 * n }, (_, i) => 4 * start + i),
    activations: new Map([
      ["blocks.0.hook_resid_post", count(12 * start, 12 * n)],
      ["blocks.0.hook_mlp_out", count(-8 * start, 8 * n)],
    ]),
  };
}

describe("writeSaelensDump", () => {
  test("writes one row per sequence in the stream format, and what datasets needs beside it", async () => {
    await writeSaelensDump(folder("d"), spec, [sequences(0, 2), sequences(2, 1)]);
    expect(readdirSync(folder("d")).sort()).toEqual([
      "data-00000-of-00001.arrow",
      "dataset_info.json",
      "state.json",
    ]);
    const path = folder("d", "data-00000-of-00001.arrow");
    const reader = new ArrowReader(path);
    expect(reader.format).toBe("stream");
    expect(reader.countRows()).toEqual({ rows: 3, batches: 2 });
    reader.close();
    const table = readArrow(path);
    expect(table.value("token_ids", 2)).toEqual([8, 9, 10, 11]);
    expect(table.value("blocks.0.hook_resid_post", 1)).toEqual([
      [12, 13, 14],
      [15, 16, 17],
      [18, 19, 20],
      [21, 22, 23],
    ]);
    expect(JSON.parse(readFileSync(folder("d", "dataset_info.json"), "utf8")).features).toEqual({
      "blocks.0.hook_resid_post": { shape: [4, 3], dtype: "float32", _type: "Array2D" },
      "blocks.0.hook_mlp_out": { shape: [4, 2], dtype: "float32", _type: "Array2D" },
      token_ids: { feature: { dtype: "int32", _type: "Value" }, length: 4, _type: "Sequence" },
    });
  });

  test("gives the same bytes each time, and another fingerprint for other numbers", async () => {
    await writeSaelensDump(folder("a"), spec, [sequences(0, 2)]);
    await writeSaelensDump(folder("b"), spec, [sequences(0, 2)]);
    await writeSaelensDump(folder("c"), spec, [sequences(1, 2)]);
    for (const name of readdirSync(folder("a"))) {
      expect(readFileSync(folder("a", name)).equals(readFileSync(folder("b", name)))).toBe(true);
    }
    const print = (name: string) =>
      JSON.parse(readFileSync(folder(name, "state.json"), "utf8"))._fingerprint;
    expect(print("c")).not.toBe(print("a"));
  });

  test("refuses a folder that holds something, and leaves it alone", async () => {
    writeFileSync(folder("mine.txt"), "x");
    await expect(writeSaelensDump(folder(), spec, [])).rejects.toThrow(UsageError);
    await expect(writeSaelensDump(folder(), spec, [])).rejects.toThrow(/holds mine\.txt/);
    expect(readdirSync(folder())).toEqual(["mine.txt"]);
  });

  test("leaves no dataset when the source fails", async () => {
    async function* failing() {
      yield sequences(0, 1);
      throw new Error("the backend is lost");
    }
    await expect(writeSaelensDump(folder("d"), spec, failing())).rejects.toThrow(/lost/);
    expect(readdirSync(folder("d"))).toEqual([]);
  });
});

/** What a folder of `sequences` says as a dump, from its batches and row by row. */
function expectCounted(path: string, n: number): void {
  const hook = "blocks.0.hook_resid_post";
  const dump = new ActivationDump(path);
  expect(dump).toMatchObject({ rows: 4 * n, context: 4, saes: [] });
  expect(dump.hooks).toContainEqual({ name: hook, width: 3 });
  const [docs, places, tokens, values] = [[], [], [], []] as number[][];
  for (const { doc, pos, tokenId, activations } of dump.batches([hook])) {
    docs.push(...doc);
    places.push(...pos);
    tokens.push(...tokenId);
    values.push(...(activations.get(hook) as Float32Array));
  }
  const each = Array.from({ length: 4 * n }, (_, i) => i);
  expect(docs).toEqual(each.map((i) => Math.floor(i / 4)));
  expect(places).toEqual(each.map((i) => i % 4));
  expect(tokens).toEqual(each);
  expect(values).toEqual(Array.from({ length: 12 * n }, (_, i) => i));
  expect([...dump.keys()].flatMap(({ doc }) => [...doc])).toEqual(docs);
  const reader = dump.rowReader(hook);
  expect(reader.rows).toBe(4 * n);
  // over the end of a sequence, of a batch and of a shard
  expect([...reader.read(3, 18)]).toEqual(values.slice(9, 54));
  reader.close();
}

describe("ActivationDump on a folder in SAELens's layout", () => {
  test("numbers the sequences as documents and reads any row, over batches and shards", async () => {
    const batches = [sequences(0, 4), sequences(4, 4), sequences(8, 1)];
    await writeSaelensDump(folder("d"), spec, batches, { shardBytes: 600 });
    expectCounted(folder("d"), 9);
  });

  test.each([
    ["lists of one length", fixedList(fixedList(float32, 2), 2)],
    ["lists of any length", list(list(float32))],
    ["both", list(fixedList(float32, 2))],
  ] as const)("a file without token_ids (%s) has sequences too", (_, type) => {
    const path = folder("bare.arrow");
    const rows = [0, 1, 2].map((i) => [
      [4 * i, 4 * i + 1],
      [4 * i + 2, 4 * i + 3],
    ]);
    writeArrowTable(path, [{ name: "x", type, values: rows }]);
    const dump = new ActivationDump(path);
    const [{ doc, pos, tokenId, activations }] = [...dump.batches()];
    expect([[...doc], [...pos]]).toEqual([
      [0, 0, 1, 1, 2, 2],
      [0, 1, 0, 1, 0, 1],
    ]);
    expect([...tokenId]).toEqual([-1, -1, -1, -1, -1, -1]);
    expect([...(activations.get("x") as Float32Array)]).toEqual(rows.flat(2));
    const reader = dump.rowReader("x");
    expect([...reader.read(1, 4)]).toEqual([2, 3, 4, 5, 6, 7]);
    reader.close();
  });

  test("sequences of two lengths are refused, in a column and between columns", () => {
    const nested = list(list(float32));
    writeArrowTable(folder("ragged.arrow"), [
      { name: "x", type: nested, values: [[[1], [2]], [[3]]] },
    ]);
    expect(() => new ActivationDump(folder("ragged.arrow")).rowReader("x")).toThrow(
      /column x: expected 2 numbers in each row, got 1 in row 1/,
    );
    expect(() => [...new ActivationDump(folder("ragged.arrow")).batches()]).toThrow(UsageError);
    expect(() => [...new ActivationDump(folder("ragged.arrow")).keys()]).toThrow(UsageError);
    writeArrowTable(folder("two.arrow"), [
      { name: "x", type: nested, values: [[[1], [2]]] },
      { name: "y", type: nested, values: [[[1], [2], [3]]] },
    ]);
    expect(() => new ActivationDump(folder("two.arrow"))).toThrow(/column y.*2 tokens.*got 3/);
  });

  test("rows without doc and pos are refused by a line that names both layouts", () => {
    writeArrowTable(folder("plain.arrow"), [
      { name: "x", type: fixedList(float32, 2), values: [[1, 2]] },
    ]);
    expect(() => new ActivationDump(folder("plain.arrow"))).toThrow(
      /integer column doc, got the columns x.*lists of lists of floats/s,
    );
    writeArrowTable(folder("pos.arrow"), [
      { name: "pos", type: int32, values: [0] },
      { name: "x", type: list(list(float32)), values: [[[1, 2]]] },
    ]);
    expect(() => new ActivationDump(folder("pos.arrow"))).toThrow(/integer column doc/);
  });

  test.each([
    ["no state.json", null, /without state\.json/],
    ["no files", { _data_files: [] }, /state\.json: _data_files/],
    ["a file elsewhere", { _data_files: [{ filename: "../x.arrow" }] }, /\.\.\/x\.arrow/],
    ["a file twice", { _data_files: [{ filename: "x.arrow" }, { filename: "x.arrow" }] }, /once/],
    ["a file that is not there", { _data_files: [{ filename: "x.arrow" }] }, /x\.arrow/],
    ["a list for a document", [], /_data_files/],
    ["null for a file", { _data_files: [null] }, /_data_files/],
  ])("a folder with %s is refused", (_, state, message) => {
    mkdirSync(folder("f"));
    if (state !== null) writeFileSync(folder("f", "state.json"), JSON.stringify(state));
    expect(() => new ActivationDump(folder("f"))).toThrow(UsageError);
    expect(() => new ActivationDump(folder("f"))).toThrow(message);
  });

  test("several splits are refused, with what to name in their place", () => {
    mkdirSync(folder("f"));
    writeFileSync(folder("f", "dataset_dict.json"), "{}");
    expect(() => new ActivationDump(folder("f"))).toThrow(/several splits/);
  });
});

python.test(
  "datasets.load_from_disk and SAELens's activation store read it, and what SAELens's runner writes is read, shards and all",
  async (run) => {
    const batches = [sequences(0, 4), sequences(4, 4), sequences(8, 1)];
    await writeSaelensDump(folder("d"), spec, batches, { shardBytes: 600 });
    const out = await run(
      `
import json, sys
from types import SimpleNamespace
import datasets
data = datasets.load_from_disk(sys.argv[1])
hook = "blocks.0.hook_resid_post"
result = {
    "rows": len(data), "shards": len(data.data.blocks) if hasattr(data.data, "blocks") else 1,
    "features": {k: type(v).__name__ for k, v in data.features.items()},
    "shape": data.features[hook].shape,
}
data.set_format("numpy")
result["last"] = data[8][hook].tolist()
result["sum"] = float(data[:][hook].sum())
result["tokens"] = data[:]["token_ids"].ravel().tolist()
from sae_lens.training.activations_store import ActivationsStore
store = ActivationsStore.from_cache_activations(None, SimpleNamespace(
    new_cached_activations_path=sys.argv[1], dtype="float32", hook_name=hook, context_size=4, d_in=3,
    n_batches_in_buffer=2, training_tokens=36, model_batch_size=2, device="cpu"))
acts, tokens = store._load_raw_llm_batch_from_cached(raise_on_epoch_end=False)
result["saelens"] = [list(acts.shape), acts[-1].tolist(), tokens.tolist()]
# the other way: the shards and the folder as SAELens's own runner makes them, without a model
from pathlib import Path
import torch
from datasets import Array2D, Features, Sequence, Value
from sae_lens.cache_activations_runner import CacheActivationsRunner
runner = CacheActivationsRunner.__new__(CacheActivationsRunner)
runner.context_size = 4
runner.features = Features({hook: Array2D(shape=(4, 3), dtype="float32"),
    "token_ids": Sequence(Value(dtype="int32"), length=4)})
out = Path(sys.argv[2])
out.mkdir()
first = 0
for i, n in enumerate([4, 5]):
    runner.cfg = SimpleNamespace(hook_name=hook, d_in=3, n_seq_in_buffer=n)
    acts = torch.arange(12 * first, 12 * (first + n), dtype=torch.float32).reshape(-1, 3)
    tokens = torch.arange(4 * first, 4 * (first + n))
    shard = runner._create_shard((acts, tokens))
    shard.save_to_disk(out / ".tmp_shards" / f"shard_{i:05d}", num_shards=1)
    first += n
runner._consolidate_shards(out / ".tmp_shards", out, copy_files=False)
print(json.dumps(result))
`,
      [folder("d"), folder("cached")],
    );
    expect(readdirSync(folder("cached"))).toContain("data-00001-of-00002.arrow");
    expectCounted(folder("cached"), 9);
    expect(readdirSync(folder("d")).filter((name) => name.endsWith(".arrow"))).toHaveLength(3);
    const result = JSON.parse(out.trim().split("\n").at(-1) ?? "");
    expect(result).toMatchObject({
      rows: 9,
      features: { "blocks.0.hook_resid_post": "Array2D", token_ids: "List" },
      shape: [4, 3],
      last: [
        [96, 97, 98],
        [99, 100, 101],
        [102, 103, 104],
        [105, 106, 107],
      ],
      sum: (108 * 107) / 2,
      tokens: Array.from({ length: 36 }, (_, i) => i),
      saelens: [
        [8, 3],
        [21, 22, 23],
        [0, 1, 2, 3, 4, 5, 6, 7],
      ],
    });
  },
);
