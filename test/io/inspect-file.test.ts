import { writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  dictionary,
  encodeSafetensors,
  fixedList,
  float32,
  inspectFile,
  int32,
  UsageError,
  writeArrowTable,
} from "../../src/io/index.ts";
import { temporaryFolder } from "../support/folder.ts";

const file = temporaryFolder();

test("inspectFile tells the columns, rows and metadata of an Arrow file", () => {
  const rows = 5000;
  writeArrowTable(
    file("x.arrow"),
    [
      { name: "doc", type: int32, values: new Int32Array(rows) },
      { name: "token", type: dictionary(["a"]), values: new Array(rows).fill("a") },
      { name: "h", type: fixedList(float32, 2), values: new Array(rows).fill([1, 2]) },
      { name: "p", type: float32, values: new Float32Array(rows).fill(NaN), nullable: true },
    ],
    { "sae_carry.seed": "7" },
  );
  const summary = inspectFile(file("x.arrow"));
  expect(summary).toMatchObject({ kind: "arrow", format: "file", rows, batches: 2 });
  expect(summary).toMatchObject({
    columns: [
      { name: "doc", type: "int32", nullable: false },
      { name: "token", type: "dictionary<values=string, indices=int32>", nullable: false },
      { name: "h", type: "fixed_size_list<float>[2]", nullable: false },
      { name: "p", type: "float", nullable: true },
    ],
    metadata: { "sae_carry.seed": "7" },
  });
});

test("inspectFile tells the tensors of a safetensors file, whatever its name, and doesn't read them", () => {
  const data = Float32Array.of(NaN, 1);
  const bytes = encodeSafetensors(new Map([["W", { shape: [2, 1], data }]]), { format: "pt" });
  for (const name of ["x.safetensors", "x"]) {
    writeFileSync(file(name), bytes);
    expect(inspectFile(file(name))).toEqual({
      kind: "safetensors",
      bytes: bytes.length,
      tensors: [{ name: "W", dtype: "F32", shape: [2, 1] }],
      metadata: { format: "pt" },
    });
  }
});

test("inspectFile refuses what is neither, what is missing, and folders", () => {
  writeFileSync(file("x"), "hello, world: no table here");
  expect(() => inspectFile(file("x"))).toThrow(/neither an Arrow file nor an Arrow stream/);
  expect(() => inspectFile(file("no"))).toThrow(UsageError);
  expect(() => inspectFile(file())).toThrow(UsageError);
});
