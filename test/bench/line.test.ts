// From timings to a printed line, and from lines to the table of docs/performance.md.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { benchCases, selectCases } from "../../bench/cases.ts";
import { type BenchLine, benchLine, units } from "../../bench/harness/line.ts";
import { floorName, markdownTable, withTable } from "../../bench/harness/markdown.ts";
import { root } from "../support/source-files.ts";

const facts = {
  name: "sae-x",
  peer_name: "PyTorch",
  peer_version: "torch 9",
  loss_error: 1e-6,
  sizes: { d_in: 4 },
  threads: 2,
  backend: "native",
  machine: "a machine",
};
const side = (...seconds: number[]) => ({ seconds, peakMb: 1234.4, restMb: 99.6 });

describe("benchLine", () => {
  test("has the fields of the contract, and a ratio above 1 where we take less time", () => {
    const line = benchLine(facts, units.ms, 1, side(0.1, 0.2, 0.1), side(0.4, 0.5, 0.3));
    expect(line).toEqual({
      ...facts,
      ours: 100,
      peer: 400,
      unit: "ms",
      ratio: 3, // of 4, 2.5 and 3
      spread: [2.75, 3.5],
      ours_spread: [100, 150],
      peer_spread: [350, 450],
      repeats: 3,
      peak_mb: 1234,
      peer_peak_mb: 1234,
      rest_mb: 100,
      peer_rest_mb: 100,
    });
  });

  test("compares the rounds that a slow peer took part in", () => {
    const line = benchLine(facts, units.ms, 1, side(0.1, 0.2, 0.4), side(1));
    expect([line.ratio, line.repeats, line.ours]).toEqual([10, 1, 200]);
  });

  test("turns seconds into a rate where more is better, and the ratio keeps its sense", () => {
    const line = benchLine(facts, units["tokens/s"], 2048, side(1), side(2));
    expect([line.ours, line.peer, line.ratio]).toEqual([2048, 1024, 2]);
  });

  test("says null for memory that could not be read", () => {
    const unread = { seconds: [1], peakMb: null, restMb: null };
    expect(benchLine(facts, units.ms, 1, unread, side(1)).peak_mb).toBeNull();
  });
});

describe("the table", () => {
  const line = (name: string, peer_name: string, ratio: number): BenchLine => ({
    ...benchLine({ ...facts, name, peer_name }, units.ms, 1, side(1), side(2)),
    ratio,
  });

  test("has a row for each pair, ours only once for each benchmark, and the later of two lines for a pair", () => {
    const rows = markdownTable([
      line("a", "x", 9),
      line("a", "y", 2),
      line("b", "x", 3),
      line("a", "x", 1),
    ])
      .split("\n")
      .filter((row) => row.startsWith("| ") && !row.includes("benchmark"));
    expect(rows).toEqual([
      "| `a` | 1,000 ms | x, torch 9 | 2,000 ms | **1.00** (2.00 to 2.00) | 1 | 1,234 (100) | 1,234 (100) |",
      "|  |  | y, torch 9 | 2,000 ms | **2.00** (2.00 to 2.00) | 1 |  | 1,234 (100) |",
      "| `b` | 1,000 ms | x, torch 9 | 2,000 ms | **3.00** (2.00 to 2.00) | 1 | 1,234 (100) | 1,234 (100) |",
    ]);
  });

  test("sets SAE steps against their floor where the product of their size was measured", () => {
    const sizes = { d_in: 50, d_sae: 1000, k: 2, batch: 100 }; // a product of 0.01 GFLOP
    const floor = { ...line("sae-x", floorName, 0.5), sizes, ours: 8, peer: 4 };
    const product = { ...line("gemm-100x50x1000", "y", 0.5), ours: 5, peer: 10 };
    const rows = markdownTable([product, floor]).split("\n");
    expect(rows.at(-1)).toBe("| `sae-x` | 8 | 2 | 6 | 1 | 3 | 4 | **2.00** |");
    expect(markdownTable([floor])).not.toContain("against their floor");
  });

  test("names each machine once", () => {
    const table = markdownTable([line("a", "x", 1), line("b", "x", 1)]);
    expect(table.match(/a machine/g)).toHaveLength(1);
  });

  test("goes between the marks, again and again, and what is around them stays", () => {
    const text = "before\n<!-- bench table -->\nold\n<!-- /bench table -->\nafter\n";
    const once = withTable(text, "new");
    expect(once).toBe("before\n<!-- bench table -->\n\nnew\n\n<!-- /bench table -->\nafter\n");
    expect(withTable(once, "new")).toBe(once);
  });

  test("is refused where a mark is missing", () => {
    expect(() => withTable("<!-- /bench table --><!-- bench table -->", "x")).toThrow("expected");
  });

  test("has its marks in docs/performance.md", () => {
    const text = readFileSync(join(root, "docs/performance.md"), "utf8");
    expect(withTable(text, "x")).toContain("<!-- bench table -->\n\nx\n\n<!-- /bench table -->");
  });
});

describe("selectCases", () => {
  test("takes all without a prefix, and those of several prefixes in their own order", () => {
    expect(selectCases([])).toEqual(benchCases);
    const names = selectCases(["lm-4", "sae-topk-512"]).map(({ name }) => name);
    expect(names).toEqual(["sae-topk-512x8192", "lm-4x256"]);
  });

  test("refuses a prefix that fits nothing and says what there is", () => {
    expect(() => selectCases(["seo-"])).toThrow(/"seo-"; there are gemm-, sae-, lm-/);
  });

  test("no two benchmarks share a name", () => {
    expect(new Set(benchCases.map(({ name }) => name)).size).toBe(benchCases.length);
  });
});
