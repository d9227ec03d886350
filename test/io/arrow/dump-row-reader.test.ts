import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  ActivationDump,
  fixedList,
  float32,
  int32,
  list,
  UsageError,
  writeArrowTable,
} from "../../../src/io/index.ts";
import { temporaryFolder } from "../../support/folder.ts";

const file = temporaryFolder();
function write(name: string, of: "fixed" | "any", n = 5000): string {
  const rows = Array.from({ length: n }, (_, i) => i);
  writeArrowTable(file(name), [
    { name: "doc", type: int32, values: rows.map(() => 0) },
    { name: "pos", type: int32, values: rows },
    {
      name: "x",
      type: of === "fixed" ? fixedList(float32, 2) : list(float32),
      values: rows.map((i) => [i, i + 0.5]),
    },
  ]);
  return file(name);
}

test.each(["fixed", "any"] as const)(
  "rows of lists (%s) are read from any place, over batches",
  (of) => {
    const n = 5000; // two batches
    const reader = new ActivationDump(write(`${of}.arrow`, of)).rowReader("x");
    expect(reader.rows).toBe(n);
    expect([...reader.read(4095, 4097)]).toEqual([4095, 4095.5, 4096, 4096.5]);
    expect([...reader.read(0, 1)]).toEqual([0, 0.5]);
    expect([...reader.read(n - 1, n)]).toEqual([n - 1, n - 0.5]);
    expect(reader.read(7, 7)).toHaveLength(0);
    reader.close();
  },
);

test.each(["fixed", "any"] as const)(
  "lengths that lie, in a file of lists (%s), are a UsageError or change nothing of the sizes",
  (of) => {
    const good = readFileSync(write("good.arrow", of, 30));
    const path = file("bad.arrow");
    // every third word of the file is changed once: metadata, numbers and footer
    const words: number[] = [];
    for (let at = 8; at < good.length - 10; at += 12) words.push(at);
    let refused = 0;
    for (const at of words) {
      for (const value of [0x7fffffff, -8]) {
        const bytes = Buffer.from(good);
        bytes.writeInt32LE(value, at);
        writeFileSync(path, bytes);
        try {
          const dump = new ActivationDump(path);
          for (const { name, width } of dump.hooks) {
            const reader = dump.rowReader(name);
            const rows = reader.read(0, Math.min(reader.rows, 3));
            expect(rows.length).toBe(Math.min(reader.rows, 3) * width);
            reader.close();
          }
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
          refused++;
        }
      }
    }
    expect(refused).toBeGreaterThan(50);
  },
);
