import { expect, test } from "vitest";
import { profileTable } from "../../bench/harness/profile-table.ts";

test("a step's parts come largest first, small ones together, and what is outside of them last", () => {
  const parts = [
    { part: "small", ms: 0.5, calls: 3 },
    { part: "gemm", ms: 60, calls: 12 },
    { part: "attention", ms: 20, calls: 1.5 },
  ];
  expect(profileTable([{ name: "lm", ms: 100, parts }]).split("\n")).toEqual([
    "| | calls | ms | share |",
    "|---|---|---|---|",
    "| **`lm`, a step** |  | 100 | 100% |",
    "| `gemm` | 12 | 60 | 60% |",
    "| `attention` | 1.5 | 20 | 20% |",
    "| other functions of the addon |  | 0.5 | 1% |",
    "| JavaScript |  | 19.5 | 20% |",
  ]);
});
