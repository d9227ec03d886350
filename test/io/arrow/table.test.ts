import { readFileSync, writeFileSync } from "node:fs";
import { tableFromIPC } from "apache-arrow";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type ArrowType,
  type ColumnSpec,
  dictionary,
  fixedList,
  float32,
  int32,
  list,
  readArrow,
  struct,
  typeName,
  UsageError,
  utf8,
  writeArrowTable,
} from "../../../src/io/index.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { python } from "../../support/python.ts";

const file = temporaryFolder();

const context = struct({ doc: int32, pos: int32, tokens: list(utf8), activations: list(float32) });
const features: ColumnSpec[] = [
  { name: "latent", type: int32, values: Int32Array.of(0, 1, 2) },
  { name: "density", type: float32, values: Float32Array.of(0.5, NaN, 0.25), nullable: true },
  { name: "side", type: dictionary(["parent", "child"]), values: ["child", "parent", "child"] },
  { name: "stage", type: utf8, values: ["00-base", "", "ü😀"] },
  { name: "parent", type: int32, values: [null, 1, 2], nullable: true },
  { name: "matches", type: list(int32), values: [[], [3, 4], [5]] },
  {
    name: "direction",
    type: fixedList(float32, 2),
    values: [
      [1, 2],
      [3, 4],
      [5, 6],
    ],
  }, //
  {
    name: "contexts",
    type: list(context),
    values: [[], [{ doc: 1, pos: 2, tokens: ["x", "y"], activations: [0.5, 1] }], []],
  },
];

/** Plain values of a type, and how the reader gives them back. */
function valuesOf(type: ArrowType): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case "int":
      return fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
    case "float":
      return fc.float({ noNaN: true, noDefaultInfinity: true });
    case "string":
      return fc.string({ unit: "grapheme" });
    case "dictionary":
      return fc.constantFrom(...(type.values ?? []));
    case "list":
      return fc.array(valuesOf(type.item.type), { maxLength: 4 });
    case "fixed_list":
      return fc.array(valuesOf(type.item.type), { minLength: type.size, maxLength: type.size });
    case "struct":
      return fc.record(Object.fromEntries(type.fields.map((f) => [f.name, valuesOf(f.type)])));
    default:
      throw new Error(type.kind);
  }
}

const { type: anyType } = fc.letrec<{ type: ArrowType }>((tie) => ({
  type: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom<ArrowType>(int32, float32, utf8, dictionary(["a", "b", "ç"])),
    tie("type").map((type) => list(type)),
    fc.tuple(tie("type"), fc.integer({ min: 1, max: 3 })).map(([type, n]) => fixedList(type, n)),
    fc
      .array(tie("type"), { minLength: 1, maxLength: 3 })
      .map((types) => struct(Object.fromEntries(types.map((type, i) => [`f${i}`, type])))),
  ),
}));

const columns = fc.integer({ min: 0, max: 9 }).chain((rows) =>
  fc.array(
    anyType.chain((type) =>
      fc.record({
        type: fc.constant(type),
        values: fc.array(valuesOf(type), { minLength: rows, maxLength: rows }),
      }),
    ),
    { minLength: 1, maxLength: 4 },
  ),
);

describe("writeArrowTable", () => {
  test("writes what readArrow gives back, for the columns of features.arrow", () => {
    writeArrowTable(file("x.arrow"), features, { stage: "00-base" });
    const table = readArrow(file("x.arrow"));
    expect(table.rows).toBe(3);
    expect({ ...table.metadata }).toEqual({ stage: "00-base" });
    expect(table.int32("latent")).toEqual(Int32Array.of(0, 1, 2));
    expect(table.float32("density")).toEqual(Float32Array.of(0.5, NaN, 0.25));
    expect(table.value("density", 1)).toBe(null);
    expect(table.strings("side")).toEqual(["child", "parent", "child"]);
    expect(table.strings("stage")).toEqual(["00-base", "", "ü😀"]);
    expect(table.int32("parent", -1)).toEqual(Int32Array.of(-1, 1, 2));
    expect([0, 1, 2].map((i) => table.value("matches", i))).toEqual([[], [3, 4], [5]]);
    expect(table.value("direction", 1)).toEqual([3, 4]);
    expect(table.value("contexts", 0)).toEqual([]);
    expect(table.value("contexts", 1)).toEqual([
      { doc: 1, pos: 2, tokens: ["x", "y"], activations: [0.5, 1] },
    ]);
  });

  test("writes what readArrow and apache-arrow give back, whatever the types and values", () => {
    fc.assert(
      fc.property(columns, (specs) => {
        const named = specs.map((spec, i) => ({ name: `c${i}`, ...spec }));
        writeArrowTable(file("x.arrow"), named);
        const ours = readArrow(file("x.arrow"));
        const theirs = tableFromIPC(readFileSync(file("x.arrow")));
        for (const { name, type, values } of named) {
          const field = ours.schema.fields.find((f) => f.name === name);
          expect(field && typeName(field.type)).toBe(typeName(type));
          const plain = JSON.stringify(values);
          const read = values.map((_, i) => ours.value(name, i));
          expect(JSON.stringify(read)).toBe(plain);
          const other = values.map((_, i) => theirs.getChild(name)?.get(i));
          expect(JSON.parse(JSON.stringify(other))).toEqual(JSON.parse(plain));
        }
      }),
      { numRuns: 60 },
    );
  });

  test("keeps nulls apart from values", () => {
    fc.assert(
      fc.property(
        fc.array(fc.option(fc.integer({ min: -9, max: 9 })), { maxLength: 40 }),
        (ints) => {
          const strings = ints.map((n) => (n === null ? null : String(n)));
          const lists = ints.map((n) => (n === null ? null : [n, n]));
          writeArrowTable(file("x.arrow"), [
            { name: "int", type: int32, values: ints, nullable: true },
            { name: "float", type: float32, values: ints, nullable: true },
            { name: "string", type: utf8, values: strings, nullable: true },
            { name: "list", type: list(int32), values: lists, nullable: true },
          ]);
          const table = readArrow(file("x.arrow"));
          const read = (name: string) => ints.map((_, i) => table.value(name, i));
          expect(read("int")).toEqual(ints);
          expect(read("float")).toEqual(ints);
          expect(read("string")).toEqual(strings);
          expect(read("list")).toEqual(lists);
          expect(tableFromIPC(readFileSync(file("x.arrow"))).getChild("int")?.nullCount ?? 0).toBe(
            ints.filter((n) => n === null).length,
          );
        },
      ),
      { numRuns: 30 },
    );
  });

  test("splits rows into batches of 4096 and joins them again", () => {
    const n = 10_000;
    const odd = Array.from({ length: n }, (_, i) => (i % 3 === 0 ? null : i));
    writeArrowTable(file("x.arrow"), [
      { name: "i", type: int32, values: Int32Array.from({ length: n }, (_, i) => i) },
      { name: "odd", type: int32, values: odd, nullable: true },
      { name: "s", type: utf8, values: odd.map(String) },
      { name: "side", type: dictionary(["a", "b"]), values: odd.map((_, i) => "ab"[i & 1]) },
      { name: "l", type: list(int32), values: odd.map((_, i) => [i, i].slice(0, i % 3)) },
      { name: "p", type: list(struct({ x: int32 })), values: odd.map((_, i) => [{ x: i }]) },
      { name: "f", type: fixedList(float32, 2), values: odd.map((_, i) => [i, -i]) },
    ]);
    expect(tableFromIPC(readFileSync(file("x.arrow"))).batches.map((b) => b.numRows)).toEqual([
      4096, 4096, 1808,
    ]);
    const table = readArrow(file("x.arrow"));
    for (const i of [0, 1, 4095, 4096, 4097, 8191, 8192, 9999]) {
      expect(table.value("i", i)).toBe(i);
      expect(table.value("odd", i)).toBe(odd[i]);
      expect(table.value("s", i)).toBe(String(odd[i]));
      expect(table.value("side", i)).toBe("ab"[i & 1]);
      expect(table.value("l", i)).toEqual([i, i].slice(0, i % 3));
      expect(table.value("p", i)).toEqual([{ x: i }]);
      expect(table.value("f", i)).toEqual([i, -i]);
    }
  });

  test("gives the same bytes each time, with any number of dictionaries", () => {
    const two: ColumnSpec[] = [
      ...features,
      { name: "verdict", type: dictionary(["persisted"]), values: new Array(3).fill("persisted") },
    ];
    writeArrowTable(file("a.arrow"), two, { b: "2", a: "1" });
    writeArrowTable(file("b.arrow"), two, { a: "1", b: "2" });
    expect(readFileSync(file("a.arrow")).equals(readFileSync(file("b.arrow")))).toBe(true);
  });

  test("writes a table without rows that still has its columns", () => {
    const empty = features.map((spec) => ({ ...spec, values: [] }));
    writeArrowTable(file("x.arrow"), empty);
    const table = readArrow(file("x.arrow"));
    expect(table.rows).toBe(0);
    expect(table.int32("latent")).toEqual(new Int32Array(0));
    expect(table.strings("side")).toEqual([]);
    expect(table.get("contexts", "contexts").kind).toBe("list");
    expect(table.get("direction", "directions").kind).toBe("fixed_list");
  });

  test("refuses uneven columns and nulls where none may be, and leaves no file", () => {
    const short = { name: "y", type: int32, values: [1] };
    expect(() => writeArrowTable(file("x.arrow"), [features[0], short])).toThrow(/1 rows, not 3/);
    const bad = (type: ArrowType, value: unknown) => () =>
      writeArrowTable(file("x.arrow"), [{ name: "y", type, values: [value] }]);
    expect(bad(int32, null)).toThrow(/column y, row 0: null where no null may be/);
    expect(bad(float32, NaN)).toThrow(/NaN where no null/);
    expect(bad(list(utf8), [undefined])).toThrow(/y\.item/);
    expect(bad(dictionary(["a"]), "b")).toThrow(/b is not in the dictionary/);
    expect(bad(fixedList(int32, 2), [1])).toThrow(/1 items, not 2/);
    expect(() => readArrow(file("x.arrow"))).toThrow(/no such file/);
  });
});

describe("a table's accessors", () => {
  test("name the file, the column and what is there instead", () => {
    writeArrowTable(file("x.arrow"), features);
    const table = readArrow(file("x.arrow"));
    expect(() => table.int32("nope")).toThrow(/x\.arrow: expected a column nope.*latent, density/);
    expect(() => table.int32("stage")).toThrow(/column stage: expected integers, got string/);
    expect(() => table.strings("latent")).toThrow(/expected strings, got int32/);
    expect(() => table.int32("parent")).toThrow(/32 bits, got null in row 0/);
    expect(() => table.int32("density", 0)).toThrow(/got 0\.5 in row 0/);
    expect(() => table.int32("nope")).toThrow(UsageError);
  });

  test("give only the columns that were asked for", () => {
    writeArrowTable(file("x.arrow"), features);
    const table = readArrow(file("x.arrow"), { columns: ["parent", "contexts"] });
    expect([...table.columns.keys()]).toEqual(["parent", "contexts"]);
    expect(table.value("contexts", 1)).toHaveLength(1);
  });
});

python.test(
  "pyarrow, polars and duckdb read a table with its nulls and nested lists",
  async (run) => {
    writeArrowTable(file("x.arrow"), features, { stage: "00-base" });
    const out = await run(
      `
import json, sys
import duckdb, polars as pl, pyarrow as pa
ours = pa.ipc.open_file(sys.argv[1]).read_all()
ours.validate(full=True)
frame = pl.read_ipc(sys.argv[1])
print(json.dumps({
    "pyarrow": ours.to_pylist(),
    "polars": frame.with_columns(pl.col("side").cast(pl.String)).to_dicts(),
    "duckdb": duckdb.sql("select latent, parent, len(contexts), direction[2] from ours order by latent").fetchall(),
    "metadata": {k.decode(): v.decode() for k, v in ours.schema.metadata.items()},
    "nullable": [f.name for f in ours.schema if f.nullable],
}))
`,
      [file("x.arrow")],
    );
    const rows = [
      { latent: 0, density: 0.5, side: "child", stage: "00-base", parent: null },
      { latent: 1, density: null, side: "parent", stage: "", parent: 1 },
      { latent: 2, density: 0.25, side: "child", stage: "ü😀", parent: 2 },
    ].map((row, i) => ({
      ...row,
      matches: features[5].values[i],
      direction: features[6].values[i],
      contexts: features[7].values[i],
    }));
    expect(JSON.parse(out)).toEqual({
      pyarrow: rows,
      polars: rows,
      duckdb: [
        [0, null, 0, 2],
        [1, 1, 1, 4],
        [2, 2, 0, 6],
      ],
      metadata: { stage: "00-base" },
      nullable: ["density", "parent"],
    });
  },
);

python.test("files that pyarrow, polars and pandas-like code write are read", async (run) => {
  await run(
    `
import sys
import numpy as np, polars as pl, pyarrow as pa
folder = sys.argv[1]
table = pa.table({
    "i8": pa.array([1, None, -3], pa.int8()), "u64": pa.array([1, 2, 2**63], pa.uint64()),
    "i64": pa.array([1, 2, 3], pa.int64()), "f16": pa.array(np.array([1, -2, 0.5], np.float16)),
    "f64": pa.array([1.5, None, -2.0]), "flag": pa.array([True, None, False]),
    "text": pa.array(["a", None, "ü😀"], pa.large_string()),
    "view": pa.array(["short", "a string longer than twelve bytes", None], pa.string_view()),
    "word": pa.array(["x", "y", "x"]).dictionary_encode(),
    "lists": pa.array([[1.0, 2.0], [], None], pa.large_list(pa.float32())),
    "rows": pa.array([{"a": 1, "b": ["p"]}, None, {"a": None, "b": []}]),
})
with pa.OSFile(f"{folder}/file.arrow", "wb") as f, pa.ipc.new_file(f, table.schema) as w:
    w.write_table(table, max_chunksize=2)
with pa.OSFile(f"{folder}/stream.arrow", "wb") as f, pa.ipc.new_stream(f, table.schema) as w:
    w.write_table(table)
sliced = table.slice(1, 2)
with pa.OSFile(f"{folder}/sliced.arrow", "wb") as f, pa.ipc.new_file(f, sliced.schema) as w:
    w.write_table(sliced)
options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
parts = [pa.record_batch({"word": pa.array(v).dictionary_encode()}) for v in (["x", "y"], ["z", "x"])]
with pa.OSFile(f"{folder}/replaced.arrow", "wb") as f, pa.ipc.new_stream(f, parts[0].schema) as w:
    for part in parts: w.write_batch(part)
with pa.OSFile(f"{folder}/lz4.arrow", "wb") as f:
    with pa.ipc.new_file(f, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as w:
        w.write_table(table)
dates = pa.table({"when": pa.array([0], pa.timestamp("s")), "x": [1]})
with pa.OSFile(f"{folder}/dates.arrow", "wb") as f, pa.ipc.new_file(f, dates.schema) as w:
    w.write_table(dates)
pl.DataFrame({"doc": [1, 2], "text": ["a", "a string longer than twelve bytes"],
              "h": [[1.0, 2.0], [3.0, 4.0]]}).write_ipc(f"{folder}/polars.arrow")
`,
    [file()],
  );
  const rows = {
    i8: [1, null, -3],
    u64: [1n, 2n, 2n ** 63n],
    i64: [1n, 2n, 3n],
    f16: [1, -2, 0.5],
    f64: [1.5, null, -2],
    flag: [true, null, false],
    text: ["a", null, "ü😀"],
    view: ["short", "a string longer than twelve bytes", null],
    word: ["x", "y", "x"],
    lists: [[1, 2], [], null],
    rows: [{ a: 1n, b: ["p"] }, null, { a: null, b: [] }],
  };
  for (const [name, start] of [
    ["file", 0],
    ["stream", 0],
    ["sliced", 1],
  ] as const) {
    const table = readArrow(file(`${name}.arrow`));
    for (const [column, values] of Object.entries(rows)) {
      const read = values.slice(start).map((_, i) => table.value(column, i));
      expect(read, `${name} ${column}`).toEqual(values.slice(start));
    }
  }
  expect(readArrow(file("file.arrow")).int32("i64")).toEqual(Int32Array.of(1, 2, 3));
  expect(() => readArrow(file("file.arrow")).int32("u64")).toThrow(/9223372036854775808 in row 2/);
  expect(readArrow(file("replaced.arrow")).strings("word")).toEqual(["x", "y", "z", "x"]);
  const polars = readArrow(file("polars.arrow"));
  expect(polars.strings("text")).toEqual(["a", "a string longer than twelve bytes"]);
  expect(polars.value("h", 1)).toEqual([3, 4]);
  expect(() => readArrow(file("lz4.arrow"))).toThrow(/got compressed data\. .*without compression/);
  expect(() => readArrow(file("dates.arrow"))).toThrow(/column when of type timestamp/);
  writeFileSync(file("empty.arrow"), "");
  expect(() => readArrow(file("empty.arrow"))).toThrow(UsageError);
});
