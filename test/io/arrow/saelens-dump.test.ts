import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  ArrowReader,
  readArrow,
  type SaelensDumpSpec,
  type SequenceBatch,
  UsageError,
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

python.test(
  "datasets.load_from_disk and SAELens's activation store read it, shards and all",
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
print(json.dumps(result))
`,
      [folder("d")],
    );
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
