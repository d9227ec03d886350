import { expect, test } from "vitest";
import { cellRows } from "../../../reports/view/cells.ts";
import { persistence } from "../small-run.ts";

test("the grown cells carry the bars that the estimands divide", () => {
  const rows = cellRows(persistence());
  expect(rows?.map(({ code, value }) => [code, value])).toEqual([
    ["CG", 0.58],
    ["FG", 0.26],
    ["CS", 0.2],
    ["FS", 0.2],
    ["CP", 0.77],
    ["FP", 0.28],
    ["", 0.03],
  ]);
  const [grown, fresh, scratch] = rows ?? [];
  expect([grown.from, grown.to]).toEqual([0.2, 0.77]);
  expect([fresh.from, fresh.to]).toEqual([0.2, 0.28]);
  expect([scratch.from, scratch.to]).toEqual([null, null]);
});

test("cells that were not trained are left out, their bars with them", () => {
  const { cells } = persistence();
  const rows = cellRows(persistence({ cells: { ...cells, CS: null, FS: null } }));
  expect(rows?.map(({ code }) => code)).toEqual(["CG", "FG", "CP", "FP", ""]);
  expect(rows?.[0].from).toBeNull();
  expect(cellRows(null)).toBeNull();
});
