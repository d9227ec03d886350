import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ActivationDump,
  type DumpBatch,
  type DumpSpec,
  fixedList,
  float32,
  int32,
  list,
  RunError,
  readArrow,
  UsageError,
  utf8,
  writeActivationDump,
  writeArrowTable,
} from "../../../src/io/index.ts";
import { compiled } from "../../support/compiled.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { python } from "../../support/python.ts";

const file = temporaryFolder();
const io = compiled("src/io");

const spec: DumpSpec = {
  hooks: [
    { name: "blocks.0.hook_resid_post", width: 3 },
    { name: "blocks.1.mlp.hook_post", width: 2 },
  ],
  saes: ["resid"],
  vocab: ["<|endoftext|>", "Ġthe", "Ġthe", "\n", '"<b>"', "ü😀"], // two ids may print alike
  metadata: { model_sha256: "abc", corpus: "sotu", seed: "7" },
};

/** n rows whose every number tells where it came from. */
function batchOf(start: number, n: number): DumpBatch {
  const row = (i: number) => start + i;
  const rowStart = Int32Array.from({ length: n + 1 }, (_, i) => i - Math.floor(i / 3));
  const entries = rowStart[n];
  return {
    doc: Int32Array.from({ length: n }, (_, i) => Math.floor(row(i) / 5)),
    pos: Int32Array.from({ length: n }, (_, i) => row(i) % 5),
    tokenId: Int32Array.from({ length: n }, (_, i) => row(i) % 6),
    activations: new Map([
      ["blocks.0.hook_resid_post", Float32Array.from({ length: 3 * n }, (_, i) => 3 * start + i)],
      ["blocks.1.mlp.hook_post", Float32Array.from({ length: 2 * n }, (_, i) => -(2 * start + i))],
    ]),
    latents: new Map([
      [
        "resid",
        {
          rowStart,
          latent: Int32Array.from({ length: entries }, (_, i) => i),
          value: Float32Array.from({ length: entries }, (_, i) => i / 8),
        },
      ],
    ]),
  };
}

function joined(batches: Iterable<DumpBatch>, hook: string): number[] {
  return [...batches].flatMap(({ activations }) => [...(activations.get(hook) ?? [])]);
}

describe("an activation dump", () => {
  test("comes back as it was written, rows, codes, hooks and metadata", async () => {
    const batch = batchOf(0, 7);
    expect(await writeActivationDump(file("activations.arrow"), spec, [batch])).toEqual([
      file("activations.arrow"),
    ]);
    const dump = new ActivationDump(file("activations.arrow"));
    expect(dump.hooks).toEqual(spec.hooks);
    expect(dump.saes).toEqual(["resid"]);
    expect(dump.rows).toBe(7);
    expect(dump.metadata).toMatchObject({
      "sae_carry.format_version": "1",
      "sae_carry.corpus": "sotu",
      "sae_carry.dtype": "float32",
    });
    expect([...dump.batches()]).toEqual([batch]);
    const table = readArrow(file("activations.arrow"));
    expect(table.strings("token")).toEqual([...batch.tokenId].map((id) => spec.vocab[id]));
  });

  test("holds the same rows however they come in batches, from sync and async sources", async () => {
    const whole = batchOf(0, 10_000);
    await writeActivationDump(file("one.arrow"), spec, [whole]);
    async function* parts() {
      for (let at = 0; at < 10_000; at += 2500) yield batchOf(at, 2500);
    }
    await writeActivationDump(file("four.arrow"), spec, parts());
    const one = new ActivationDump(file("one.arrow"));
    const four = new ActivationDump(file("four.arrow"));
    for (const { name } of spec.hooks) {
      expect(joined(four.batches([name]), name)).toEqual(joined(one.batches([name]), name));
    }
    expect([...one.batches()].map(({ doc }) => doc.length)).toEqual([4096, 4096, 1808]);
    const codes = [...one.batches([])].map(({ latents }) => latents?.get("resid"));
    expect(codes.flatMap((c) => [...(c?.latent ?? [])])).toEqual([
      ...(whole.latents?.get("resid")?.latent ?? []),
    ]);
  });

  test("has the same bytes each time", async () => {
    await writeActivationDump(file("a.arrow"), spec, [batchOf(0, 50), batchOf(50, 9)]);
    await writeActivationDump(file("b.arrow"), spec, [batchOf(0, 50), batchOf(50, 9)]);
    expect(readFileSync(file("a.arrow")).equals(readFileSync(file("b.arrow")))).toBe(true);
  });

  test("without rows has its columns", async () => {
    await writeActivationDump(file("x.arrow"), spec, []);
    const dump = new ActivationDump(file("x.arrow"));
    expect(dump.rows).toBe(0);
    expect(dump.hooks).toEqual(spec.hooks);
    expect([...dump.batches()]).toEqual([]);
  });

  test("in float16 is rounded to nearest, and refuses what float16 can't hold", async () => {
    const half: DumpSpec = { ...spec, saes: [], dtype: "float16" };
    const [hook, other] = half.hooks;
    const batch = (value: number): DumpBatch => ({
      doc: Int32Array.of(0),
      pos: Int32Array.of(1),
      tokenId: Int32Array.of(2),
      activations: new Map([
        [hook.name, Float32Array.of(1 / 3, value, -0.1)],
        [other.name, new Float32Array(2)],
      ]),
    });
    await writeActivationDump(file("x.arrow"), half, [batch(2)]);
    expect(joined(new ActivationDump(file("x.arrow")).batches(), hook.name)).toBeAllclose(
      [1 / 3, 2, -0.1],
      { rtol: 2 ** -11 },
    );
    await expect(writeActivationDump(file("y.arrow"), half, [batch(1e5)])).rejects.toThrow(
      /column blocks\.0\.hook_resid_post: expected numbers up to 65504, got 100000\. Dump as float32/,
    );
  });

  test("the largest numbers of a type are stored, what lies beyond them is not", async () => {
    const batch = (value: number): DumpBatch => {
      const all = batchOf(0, 5);
      (all.activations.get("blocks.1.mlp.hook_post") as Float32Array)[7] = value;
      return all;
    };
    const write = (dtype: "float32" | "float16", value: number): Promise<string[]> =>
      writeActivationDump(file("x.arrow"), { ...spec, dtype }, [batch(value)]);
    const largest = (2 - 2 ** -23) * 2 ** 127;
    for (const sign of [1, -1]) {
      await write("float32", sign * largest);
      await write("float16", sign * 65504);
      await expect(write("float32", sign * Infinity)).rejects.toThrow(/got -?Infinity/);
      await expect(write("float16", sign * 65505)).rejects.toThrow(/got -?65505\. Dump as float32/);
    }
    await expect(write("float16", -NaN)).rejects.toThrow(/got NaN/);
  });

  test("with a NaN is a RunError that leaves nothing behind, also from the source itself", async () => {
    const bad = batchOf(0, 5);
    (bad.activations.get("blocks.1.mlp.hook_post") as Float32Array)[3] = NaN;
    await expect(writeActivationDump(file("x.arrow"), spec, [batchOf(0, 5), bad])).rejects.toThrow(
      RunError,
    );
    async function* failing() {
      yield batchOf(0, 5);
      throw new Error("the backend is lost");
    }
    await expect(writeActivationDump(file("x.arrow"), spec, failing())).rejects.toThrow(/lost/);
    expect(readdirSync(file())).toEqual([]);
  });

  test("of a token outside the vocabulary, or of uneven rows, is a mistake of ours", async () => {
    const bad = { ...batchOf(0, 5), tokenId: Int32Array.of(0, 1, 2, 3, 6) };
    await expect(writeActivationDump(file("x.arrow"), spec, [bad])).rejects.toThrow(/token 6 of 6/);
    const short = { ...batchOf(0, 5), pos: new Int32Array(4) };
    await expect(writeActivationDump(file("x.arrow"), spec, [short])).rejects.toThrow(/uneven/);
    const missing = { ...batchOf(0, 5), activations: new Map() };
    await expect(writeActivationDump(file("x.arrow"), spec, [missing])).rejects.toThrow(/internal/);
  });
});

describe("a dump past its size", () => {
  const shards = ["x-00000-of-00003.arrow", "x-00001-of-00003.arrow", "x-00002-of-00003.arrow"];
  const three = () => [batchOf(0, 40), batchOf(40, 40), batchOf(80, 40)];

  test("is cut into numbered shards that are read as one", async () => {
    const paths = await writeActivationDump(file("x.arrow"), spec, three(), { shardBytes: 1000 });
    expect(paths).toEqual(shards.map((name) => file(name)));
    expect(readdirSync(file()).sort()).toEqual(shards);
    const dump = new ActivationDump(file("x.arrow"));
    expect(dump.rows).toBe(120);
    expect(joined(dump.batches(), "blocks.1.mlp.hook_post")).toEqual(
      Array.from({ length: 240 }, (_, i) => -i),
    );
  });

  test("replaces an older dump of another number of shards, and the other way round", async () => {
    await writeActivationDump(file("x.arrow"), spec, three(), { shardBytes: 1000 });
    await writeActivationDump(file("x.arrow"), spec, three());
    expect(readdirSync(file())).toEqual(["x.arrow"]);
    await writeActivationDump(file("x.arrow"), spec, three(), { shardBytes: 1000 });
    expect(readdirSync(file()).sort()).toEqual(shards);
  });

  test("is refused when a shard is missing, a foreign one is there, or the whole file is there too", async () => {
    await writeActivationDump(file("x.arrow"), spec, three(), { shardBytes: 1000 });
    rmSync(file(shards[1]));
    expect(() => new ActivationDump(file("x.arrow"))).toThrow(/got 2 of 3 shards/);
    writeFileSync(file("x-00000-of-00001.arrow"), "");
    expect(() => new ActivationDump(file("x.arrow"))).toThrow(/got shards of two dumps/);
    writeFileSync(file("x.arrow"), "");
    expect(() => new ActivationDump(file("x.arrow"))).toThrow(/got both/);
  });

  test("is refused when its shards have different columns", async () => {
    await writeActivationDump(file("x.arrow"), spec, three(), { shardBytes: 1000 });
    writeArrowTable(file(shards[2]), [{ name: "doc", type: int32, values: [1] }]);
    expect(() => new ActivationDump(file("x.arrow"))).toThrow(/expected the columns of/);
  });
});

describe("another program's Arrow file", () => {
  const base = [
    { name: "doc", type: int32, values: [0, 0, 1] },
    { name: "pos", type: int32, values: [0, 1, 0] },
  ];
  const hook = (values: unknown[], nullable = false) => ({
    name: "h",
    type: { ...list(float32), item: { name: "item", type: float32, nullable } },
    values,
    nullable,
  });
  const open = () => {
    const dump = new ActivationDump(file("x.arrow"));
    return { dump, batches: [...dump.batches()] };
  };

  test("is read when it has doc, pos and lists of one length, without tokens as −1", () => {
    writeArrowTable(file("x.arrow"), [
      ...base,
      hook([
        [1, 2],
        [3, 4],
        [5, 6],
      ]),
      { name: "note", type: utf8, values: ["a", "b", "c"] },
    ]);
    const { dump, batches } = open();
    expect(dump.hooks).toEqual([{ name: "h", width: 2 }]);
    expect(batches).toEqual([
      {
        doc: Int32Array.of(0, 0, 1),
        pos: Int32Array.of(0, 1, 0),
        tokenId: Int32Array.of(-1, -1, -1),
        activations: new Map([["h", Float32Array.of(1, 2, 3, 4, 5, 6)]]),
        latents: new Map(),
      },
    ]);
  });

  test.each([
    ["ragged lists", [[1, 2], [3], [4, 5]], /expected 2 numbers in each row, got 1 in row 1/],
    ["null rows", [[1, 2], null, [4, 5]], /expected no nulls/],
    [
      "null numbers",
      [
        [1, 2],
        [3, null],
        [4, 5],
      ],
      /expected no nulls/,
    ],
  ])("with %s is a UsageError", (_, values, message) => {
    writeArrowTable(file("x.arrow"), [...base, hook(values, true)]);
    expect(open).toThrow(UsageError);
    expect(open).toThrow(message);
  });

  test("with lists that are empty has no hook", () => {
    writeArrowTable(file("x.arrow"), [...base, hook([[], [], []])]);
    expect(new ActivationDump(file("x.arrow")).hooks).toEqual([]);
  });

  test("with NaN is a UsageError that names the row", () => {
    writeArrowTable(file("x.arrow"), [
      ...base,
      { name: "h", type: fixedList(float32, 1), values: [[1], [2], [3]] },
    ]);
    const bytes = readFileSync(file("x.arrow"));
    const three = Buffer.from(Float32Array.of(1, 2, 3).buffer);
    bytes.writeFloatLE(NaN, bytes.indexOf(three) + 4);
    writeFileSync(file("x.arrow"), bytes);
    expect(open).toThrow(/column h: expected finite numbers, got NaN in row 1/);
  });

  test("without doc or pos, or with text in them, is a UsageError that names the column", () => {
    writeArrowTable(file("x.arrow"), [base[0]]);
    expect(open).toThrow(/expected an integer column pos, got the columns doc/);
    writeArrowTable(file("x.arrow"), [
      base[1],
      { name: "doc", type: utf8, values: ["a", "b", "c"] },
    ]);
    expect(open).toThrow(/expected an integer column doc, got string/);
  });

  test("without the hook that is asked for is a UsageError that lists those there are", () => {
    writeArrowTable(file("x.arrow"), [...base, hook([[1], [2], [3]])]);
    const dump = new ActivationDump(file("x.arrow"));
    expect(() => [...dump.batches(["other"])]).toThrow(/a column other of activations, got .*of h/);
  });

  test("of any content with doc and pos is a dump or a UsageError", () => {
    fc.assert(
      fc.property(
        fc.array(fc.option(fc.array(fc.option(fc.float()), { maxLength: 2 }))),
        (rows) => {
          const zeros = rows.map(() => 0);
          writeArrowTable(file("x.arrow"), [
            { name: "doc", type: int32, values: zeros },
            { name: "pos", type: int32, values: zeros },
            hook(rows, true),
          ]);
          try {
            for (const { activations } of open().batches) {
              for (const values of activations.values())
                expect(values.every(Number.isFinite)).toBe(true);
            }
          } catch (error) {
            expect(error).toBeInstanceOf(UsageError);
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

test("writing and reading 200 MB takes a small part of that in memory", () => {
  const script = `
    import { ActivationDump, writeActivationDump } from ${JSON.stringify(io())};
    const width = 256, n = 4096; // 4.2 MB a batch
    let peak = 0;
    // what survives a collection: how much garbage lies about depends on V8 and on how busy the machine is
    const held = () => {
      gc();
      gc(); // the second waits until the first has freed its buffers
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      return heapUsed + arrayBuffers;
    };
    const note = () => { peak = Math.max(peak, held()); };
    function* batches(count) {
      for (let b = 0; b < count; b++) {
        const values = new Float32Array(n * width).fill(b);
        const int = new Int32Array(n).fill(b);
        yield { doc: int, pos: int, tokenId: int, activations: new Map([["h", values]]) };
        note();
      }
    }
    const spec = { hooks: [{ name: "h", width }], vocab: Array.from({ length: 50 }, (_, i) => "t" + i), metadata: {} };
    await writeActivationDump("small.arrow", spec, batches(2)); // loads what there is to load
    const base = held();
    peak = 0;
    await writeActivationDump("x.arrow", spec, batches(50));
    const written = peak - base;
    let sum = 0;
    peak = 0;
    for (const { doc, activations } of new ActivationDump("x.arrow").batches()) {
      sum += doc[0] + activations.get("h")[5] + doc.length;
      note();
    }
    console.log(JSON.stringify({ written: written / 2 ** 20, read: (peak - base) / 2 ** 20, sum }));
  `;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ["--expose-gc", "--input-type=module", "-e", script],
    { cwd: file(), encoding: "utf8" },
  );
  expect(stderr).toBe("");
  const { written, read, sum } = JSON.parse(stdout);
  expect(statSync(file("x.arrow")).size).toBeGreaterThan(200 * 2 ** 20);
  expect(sum).toBe(2 * 1225 + 50 * 4096);
  expect(written).toBeLessThan(13); // MiB; a batch has 4.2
  expect(read).toBeLessThan(13);
});

python.test("pyarrow, polars, duckdb and datasets open a dump and see its values", async (run) => {
  await writeActivationDump(file("x.arrow"), spec, [batchOf(0, 50), batchOf(50, 9)]);
  await writeActivationDump(file("s.arrow"), spec, [batchOf(0, 50), batchOf(50, 9)], {
    shardBytes: 1000,
  });
  const half: DumpSpec = { ...spec, saes: [], dtype: "float16" };
  await writeActivationDump(file("half.arrow"), half, [batchOf(0, 59)]);
  const out = await run(
    `
import json, sys
import datasets, duckdb, numpy as np, polars as pl, pyarrow as pa
path, folder, cache = sys.argv[1:4]
hook = "blocks.0.hook_resid_post"
with pa.memory_map(path) as source:
    ours = pa.ipc.open_file(source).read_all()
    ours.validate(full=True)
    chunk = ours.column(hook).chunk(1)
    matrix = chunk.flatten().to_numpy(zero_copy_only=True).reshape(-1, 3)
    result = {
        "types": [str(f.type) for f in ours.schema],
        "metadata": {k.decode(): v.decode() for k, v in ours.schema.metadata.items()},
        "shape": matrix.shape, "last": matrix[-1].tolist(), "writeable": bool(matrix.flags.writeable),
        "tokens": ours.column("token").to_pylist()[:7],
        "codes": ours.column("sae/resid").to_pylist()[:3],
    }
    result["duckdb"] = duckdb.sql(
        f'select doc, pos, token, "{hook}"[1], len("sae/resid") from ours where doc = 11 order by pos'
    ).fetchall()
frame = pl.read_ipc(path)
lazy = pl.scan_ipc(path).filter(pl.col("doc") == 11).select("pos", pl.col(hook).arr.sum()).collect()
result["polars"] = [frame.height, str(frame.schema[hook]), frame[hook].to_numpy().sum().item(), lazy.rows()]
result["polars_tokens"] = frame["token"].cast(pl.String).to_list()[:7]
result["shards"] = pl.read_ipc(f"{folder}/s-*.arrow")[hook].to_numpy().sum().item()
half = pa.ipc.open_file(f"{folder}/half.arrow").read_all()
half.validate(full=True)
result["half"] = [str(half.schema.field(hook).type), float(half.column(hook).combine_chunks().flatten().to_numpy().sum(dtype=np.float64))]
result["half_polars"] = pl.read_ipc(f"{folder}/half.arrow")[hook].arr.get(0).to_list()[-1]
data = datasets.load_dataset("arrow", data_files=path, split="train", cache_dir=cache)
result["datasets"] = [len(data), data[58][hook], data[1]["token"], data[2]["sae/resid"]]
print(json.dumps(result))
`,
    [file("x.arrow"), file(), file("cache")],
  );
  const total = (177 * 176) / 2;
  const tokens = [0, 1, 2, 3, 4, 5, 0].map((id) => spec.vocab[id]);
  const codes = [[{ latent: 0, value: 0 }], [{ latent: 1, value: 0.125 }], []];
  expect(JSON.parse(out)).toEqual({
    types: [
      "int32",
      "int32",
      "int32",
      "dictionary<values=string, indices=int32, ordered=0>",
      "fixed_size_list<item: float not null>[3]",
      "fixed_size_list<item: float not null>[2]",
      "list<item: struct<latent: int32 not null, value: float not null> not null>",
    ],
    metadata: {
      "sae_carry.format_version": "1",
      "sae_carry.dtype": "float32",
      "sae_carry.model_sha256": "abc",
      "sae_carry.corpus": "sotu",
      "sae_carry.seed": "7",
    },
    shape: [9, 3],
    last: [174, 175, 176],
    writeable: false,
    tokens,
    codes,
    duckdb: [55, 56, 57, 58].map((row) => [
      11,
      row - 55,
      spec.vocab[row % 6],
      3 * row,
      (row - 50) % 3 === 2 ? 0 : 1,
    ]),
    polars: [
      59,
      "Array(Float32, shape=(3,))",
      total,
      [55, 56, 57, 58].map((row) => [row - 55, 9 * row + 3]),
    ],
    polars_tokens: tokens,
    shards: total,
    half: ["fixed_size_list<item: halffloat not null>[3]", total],
    half_polars: 174,
    datasets: [59, [174, 175, 176], "Ġthe", []],
  });
});

python.test(
  "activations that pyarrow or polars wrote, in doubles and 64-bit integers, are read",
  async (run) => {
    await run(
      `
import sys
import numpy as np, pyarrow as pa, polars as pl
values = np.arange(6, dtype=np.float64).reshape(3, 2)
frame = pa.table({"doc": [0, 0, 1], "pos": [0, 1, 0], "token_id": [5, 6, 7],
                  "resid": pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 2),
                  "lists": values.tolist()})
with pa.OSFile(sys.argv[1], "wb") as f, pa.ipc.new_file(f, frame.schema) as w:
    w.write_table(frame, max_chunksize=2)
pl.from_arrow(frame).write_ipc(sys.argv[2])
`,
      [file("pyarrow.arrow"), file("polars.arrow")],
    );
    for (const name of ["pyarrow.arrow", "polars.arrow"]) {
      const dump = new ActivationDump(file(name));
      expect(dump.hooks).toEqual([
        { name: "resid", width: 2 },
        { name: "lists", width: 2 },
      ]);
      expect(joined(dump.batches(), "resid")).toEqual([0, 1, 2, 3, 4, 5]);
      expect(joined(dump.batches(), "lists")).toEqual([0, 1, 2, 3, 4, 5]);
      expect([...dump.batches()].flatMap(({ tokenId }) => [...tokenId])).toEqual([5, 6, 7]);
    }
  },
);
