import { describe, expect, it } from "vitest";
import { correlationMatches } from "../../../sae/persistence/correlation.ts";
import { firingsOf } from "../../../sae/persistence/firings.ts";
import { type Groups, matchGroups, redundancyGroups } from "../../../sae/persistence/groups.ts";
import { codesOf, randomTable } from "./support.ts";

function groupsOf(table: number[][], threshold = 0.95, eligible?: number[]): Groups {
  const codes = codesOf(table);
  const mask = Uint8Array.from(eligible ?? table[0].map(() => 1));
  return redundancyGroups(firingsOf(codes, "codes"), codes, mask, threshold);
}

describe("redundancyGroups", () => {
  const base = randomTable(5, 80, 3);
  // Latents 1 and 3 are copies of 0 up to scale; 4 stands alone.
  const table = base.map(([a, b, c]) => [a, 2 * a, b, 3 * a, c]);

  it("joins latents that are copies up to scale and leaves the others alone", () => {
    const { nGroups, of, members } = groupsOf(table);
    expect(nGroups).toBe(3);
    expect([...of]).toEqual([0, 0, 1, 0, 2]);
    expect(members).toEqual([[0, 1, 3], [2], [4]]);
  });

  it("leaves latents that are not eligible in no group", () => {
    const { of, members } = groupsOf(table, 0.95, [0, 1, 1, 1, 0]);
    expect([...of]).toEqual([-1, 0, 1, 0, -1]);
    expect(members).toEqual([[1, 3], [2]]);
  });

  it("joins a chain of neighbours even where its ends are further apart", () => {
    const chain = randomTable(6, 400, 2, 1).map(([x, y]) => [x, x + 0.2 * y, x + 0.45 * y]);
    const codes = codesOf(chain);
    const firings = firingsOf(codes, "codes");
    const { correlation } = correlationMatches(firings, firings, codes, { top: 3 });
    expect(correlation[2]).toBeLessThan(0.95); // 0 with its furthest, 2
    expect(groupsOf(chain, 0.95).nGroups).toBe(1);
  });
});

describe("matchGroups", () => {
  it("lets redundant latents share the child that each would otherwise lose", () => {
    const base = randomTable(7, 100, 2);
    const parent = base.map(([a, b], t) => [a, a * (t % 7 === 0 ? 1.1 : 1), b]);
    const child = base.map(([a, b]) => [b, a]);
    const groups = groupsOf(parent);
    const codes = codesOf(child);
    const matches = correlationMatches(
      firingsOf(codesOf(parent), "p"),
      firingsOf(codes, "c"),
      codes,
    );
    const { leader, child: partner, mutual } = matchGroups(groups, matches);
    expect(groups.members).toEqual([[0, 1], [2]]);
    expect([...leader]).toEqual([0, 2]);
    expect([...partner]).toEqual([1, 0]);
    expect([...mutual]).toEqual([1, 1]);
  });

  it("is not mutual when the child prefers another group", () => {
    const base = randomTable(8, 200, 2);
    const parent = base.map(([a, b]) => [a, a === 0 ? b : a + 0.5 * b]);
    const child = base.map(([a]) => [a]);
    const codes = codesOf(child);
    const matches = correlationMatches(
      firingsOf(codesOf(parent), "p"),
      firingsOf(codes, "c"),
      codes,
    );
    const { child: partner, mutual } = matchGroups(groupsOf(parent), matches);
    expect([...partner]).toEqual([0, 0]);
    expect([...mutual]).toEqual([1, 0]);
  });
});
