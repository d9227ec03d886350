// Planted truth: with oracle dictionaries every class of methods.md §4 is told apart.
import { describe, expect, it } from "vitest";
import { comparePersistence, type PersistenceRows } from "../../../sae/persistence/index.ts";
import { childClasses, parentClasses, plant } from "./planted.ts";

/** Rows: planted; columns: verdict. */
function confusion(truth: readonly string[], rows: PersistenceRows, side: string): string {
  const table = new Map<string, Map<string, number>>();
  const verdicts = rows.verdict.filter((_, row) => rows.side[row] === side);
  verdicts.forEach((verdict, i) => {
    const line = table.get(truth[i]) ?? new Map<string, number>();
    table.set(truth[i], line.set(verdict, (line.get(verdict) ?? 0) + 1));
  });
  return [...table]
    .map(([planted, line]) => `${planted}: ${[...line].map((cell) => cell.join(" ")).join(", ")}`)
    .join("\n");
}

function f1(truth: readonly string[], verdicts: readonly string[], name: string): number {
  let hit = 0;
  let planted = 0;
  let called = 0;
  truth.forEach((value, i) => {
    if (value === name) planted++;
    if (verdicts[i] === name) called++;
    if (value === name && verdicts[i] === name) hit++;
  });
  return (2 * hit) / (planted + called);
}

describe("planted truth with oracle dictionaries", () => {
  for (const seed of [1, 2]) {
    it(`is recovered with F1 ≥ .95 in every class, seed ${seed}`, async () => {
      const { input, parentTruth, childTruth } = plant(seed);
      const { rows, document } = await comparePersistence(input);
      const sideOf = (side: string) => rows.verdict.filter((_, row) => rows.side[row] === side);
      const matrix = `\n${confusion(parentTruth, rows, "parent")}\n${confusion(childTruth, rows, "child")}`;
      for (const name of parentClasses) {
        expect.soft(f1(parentTruth, sideOf("parent"), name), name + matrix).toBeGreaterThan(0.95);
      }
      for (const name of childClasses) {
        expect.soft(f1(childTruth, sideOf("child"), name), name + matrix).toBeGreaterThan(0.95);
      }
      expect(document.persisted.value).toBeCloseTo(
        document.counts.persisted / document.eligible,
        12,
      );
    });
  }
});
