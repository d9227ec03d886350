import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { appendLineage, freshLineage, readLineage, writeLineage } from "../../sae/index.ts";
import { int32, UsageError, writeArrowTable } from "../../src/io/index.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "sae-carry-lineage-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const base = freshLineage(2, "00-base");
const wider = appendLineage(base, 1, "01-wider");
const deeper = appendLineage(wider, 1, "02-deeper");

describe("lineage", () => {
  it("follows every latent through the stages", () => {
    expect(deeper.stage).toEqual(["00-base", "00-base", "01-wider", "02-deeper"]);
    expect([...deeper.parent]).toEqual([0, 1, 2, -1]);
    expect(deeper.ancestors[1]).toEqual([
      { stage: "00-base", latent: 1 },
      { stage: "01-wider", latent: 1 },
    ]);
    expect(deeper.ancestors[2]).toEqual([{ stage: "01-wider", latent: 2 }]);
    expect(deeper.ancestors[3]).toEqual([]);
    expect([...base.parent]).toEqual([-1, -1]);
  });

  it("only appends within a stage: carrying first and growing later is one step", () => {
    const carried = appendLineage(base, 0, "01-wider");
    expect([...carried.parent]).toEqual([0, 1]);
    expect(appendLineage(carried, 1, "01-wider")).toEqual(wider);
  });

  it("comes back from lineage.arrow, with the same bytes each time", () => {
    const path = join(dir, "lineage.arrow");
    for (const lineage of [base, wider, deeper]) {
      writeLineage(path, lineage);
      expect(readLineage(path)).toEqual(lineage);
    }
    const bytes = readFileSync(path);
    writeLineage(path, deeper);
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });

  it("is not read from another Arrow file", () => {
    const path = join(dir, "other.arrow");
    writeArrowTable(path, [{ name: "latent", type: int32, values: Int32Array.of(0) }]);
    expect(() => readLineage(path)).toThrow(UsageError);
  });
});
