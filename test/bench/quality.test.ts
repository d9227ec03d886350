// From the lines of trained SAEs to the tables of docs/quality.md.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { candidatesAt, defaultsOf, librariesOf } from "../../bench/quality/settings.ts";
import { type SyntheticLine, syntheticTable } from "../../bench/quality/synthetic-table.ts";
import { type QualityLine, qualityTable } from "../../bench/quality/table.ts";
import { root } from "../support/source-files.ts";

const sizes = { d_in: 8, d_sae: 32, k: 4, batch: 16, steps: 100 };
const facts = {
  ...{ name: "quality-topk", hook: "hook_embed", label: "lr 1", sizes, fvu: 0.5, l0: 4 },
  ...{ dead: 0.25, factor: 1, seconds: 1, versions: "x 1", threads: 1, backend: "native" },
  ...{ machine: "a machine", data: "of one kind" },
};
const line = (
  library: QualityLine["library"],
  mode: QualityLine["mode"],
  seed: number,
  fvu_at_k: number | null,
): QualityLine => ({ ...facts, library, mode, seed, fvu_at_k });

describe("the quality table", () => {
  const table = qualityTable([
    line("ours", "defaults", 1, 0.3),
    line("ours", "tuned", 1, 0.1),
    line("ours", "tuned", 2, 0.3),
    line("saelens", "search", 0, 0.01),
    line("saelens", "defaults", 1, null),
    line("saelens", "tuned", 1, 0.25),
    line("sparsify", "defaults", 1, 0.6),
    line("sparsify", "tuned", 1, 0.4),
  ]);

  test("has each library's mean with its range, and ours over the best of the others", () => {
    expect(table).toContain(
      "| TopK | sae-carry | 0.3000 (0.3000 to 0.3000) | 0.2000 (0.1000 to 0.3000) | lr 1 | 2 | 4.00 | 25.0% | 0.500, tuned **0.800** |",
    );
    expect(table).toContain("|  | SAELens | – | 0.2500 (0.2500 to 0.2500) |");
  });

  test("has a library's best candidate only where none of its seeds was measured", () => {
    expect(table).not.toContain("0.0100");
    const searched = qualityTable([
      line("ours", "tuned", 1, 0.1),
      line("saelens", "search", 0, 0.2),
    ]);
    expect(searched).toContain(
      "|  | SAELens | – | 0.2000 (0.2000 to 0.2000) | lr 1 | the search's |",
    );
    expect(table).not.toContain("dictionary_learning");
  });

  test("has the seeds of the candidate that the search liked best, where a smaller grid had another", () => {
    const of = (mode: QualityLine["mode"], label: string, seed: number, fvu: number) => ({
      ...line("ours", mode, seed, fvu),
      label,
    });
    const both = qualityTable([
      of("search", "lr 1", 0, 0.3),
      of("tuned", "lr 1", 1, 0.31),
      of("search", "lr 2", 0, 0.2),
      of("tuned", "lr 2", 1, 0.21),
      of("search", "lr 3", 0, 0.25),
    ]);
    expect(both).toContain("| 0.2100 (0.2100 to 0.2100) | lr 2 | 1 |");
    expect(both).not.toContain("0.3100");
  });
});

test("the table of known features sets ours beside SAELens's, candidates left out", () => {
  const of = (library: SyntheticLine["library"], seed: number, mcc: number): SyntheticLine => ({
    ...facts,
    ...{ name: "synthetic-topk", sizes: { ...sizes, features: 9 }, f1: 0.5 },
    ...{ library, seed, mcc },
  });
  const table = syntheticTable([
    of("ours", 0, 0.1),
    of("ours", 1, 0.6),
    of("ours", 2, 0.8),
    of("saelens", 1, 0.5),
  ]);
  expect(table).toContain(
    "| TopK | 4.0 | 4.0 | 0.700 (0.600 to 0.800) | 0.500 (0.500 to 0.500) | 0.500 (0.500 to 0.500) | 0.500 (0.500 to 0.500) |",
  );
});

test("both tables have their marks in docs/quality.md", () => {
  const text = readFileSync(join(root, "docs/quality.md"), "utf8");
  for (const name of ["quality table", "synthetic table"]) {
    expect(text.indexOf(`<!-- /${name} -->`)).toBeGreaterThan(text.indexOf(`<!-- ${name} -->`));
  }
});

test("every library has other labels for its candidates, and its rate in each of them", () => {
  for (const architecture of ["topk", "batchtopk", "jumprelu"] as const) {
    for (const library of librariesOf(architecture)) {
      const all = [
        ...candidatesAt(library, architecture, sizes, 0.001),
        ...defaultsOf(library, architecture, sizes),
      ];
      expect(new Set(all.map(({ label }) => label)).size).toBe(all.length);
    }
    const [first] = candidatesAt("ours", architecture, sizes, 0.25);
    expect(first.trainer).toEqual({ lr: 0.25 });
  }
});
