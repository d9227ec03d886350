import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  coactivations,
  correlationMatches,
  type Matches,
} from "../../../sae/persistence/correlation.ts";
import { firingsOf } from "../../../sae/persistence/firings.ts";
import { codesOf, column, naiveCorrelation, randomTable, tablePair } from "./support.ts";

type Table = number[][];

function match(a: Table, b: Table, top = 1, candidates?: Uint8Array): Matches {
  const codes = codesOf(b);
  return correlationMatches(firingsOf(codesOf(a), "a"), firingsOf(codes, "b"), codes, {
    top,
    candidates,
  });
}

/** Equal up to rounding; NaN in the same places. */
function expectSame(got: Float64Array, want: Float64Array): void {
  expect(Array.from(got, Number.isNaN)).toEqual(Array.from(want, Number.isNaN));
  expect(got.filter((r) => !Number.isNaN(r))).toBeAllclose(
    want.filter((r) => !Number.isNaN(r)),
    { rtol: 1e-10, atol: 1e-12 },
  );
}

/** All correlations of pairs that share a firing, by the dense definition. */
function naive(a: Table, b: Table): number[][] {
  return a[0].map((_, i) =>
    b[0].map((_, j) =>
      a.some((row, t) => row[i] > 0 && b[t][j] > 0)
        ? naiveCorrelation(column(a, i), column(b, j))
        : Number.NaN,
    ),
  );
}

describe("correlationMatches", () => {
  it("is Pearson over all tokens, silent ones included", () => {
    // x = (1, 0, 3, 0), y = (2, 0, 4, 2), means 1 and 2: Σ of products of deviations is
    // 0·0 + (−1)(−2) + 2·2 + (−1)·0 = 6, their norms √6 and √8.
    const { child, correlation } = match([[1], [0], [3], [0]], [[2], [0], [4], [2]]);
    expect(child[0]).toBe(0);
    expect(correlation[0]).toBeCloseTo(6 / Math.sqrt(48), 14);
  });

  it("agrees with the dense reference in every entry of its top lists", () => {
    const a = randomTable(1, 60, 9);
    const b = randomTable(2, 60, 7);
    const want = naive(a, b);
    const { child, correlation, relative, relativeCorrelation } = match(a, b, 3);
    for (let i = 0; i < 9; i++) {
      const order = want[i]
        .map((_, j) => j)
        .filter((j) => !Number.isNaN(want[i][j]))
        .sort((s, t) => want[i][t] - want[i][s])
        .slice(0, 3);
      expect([...child.slice(i * 3, i * 3 + 3)]).toEqual(order);
      expect(correlation.slice(i * 3, i * 3 + 3)).toBeAllclose(
        order.map((j) => want[i][j]),
        { rtol: 1e-12, atol: 1e-14 },
      );
    }
    for (let j = 0; j < 7; j++) {
      const best = Math.max(...want.map((row) => (Number.isNaN(row[j]) ? -2 : row[j])));
      expect(relativeCorrelation[j]).toBeCloseTo(best, 12);
      expect(want[relative[j]][j]).toBeCloseTo(best, 12);
    }
  });

  it("is symmetric: the best over rows of one side is the best over columns of the other", () => {
    fc.assert(
      fc.property(tablePair, ([a, b]) => {
        const forth = match(a, b);
        const back = match(b, a);
        expectSame(back.correlation, forth.relativeCorrelation);
        expectSame(forth.correlation, back.relativeCorrelation);
      }),
      { numRuns: 60 },
    );
  });

  it("does not depend on the order of tokens or on the scale of a latent", () => {
    fc.assert(
      fc.property(tablePair, fc.constantFrom(0.25, 2, 64), ([a, b], scale) => {
        const { correlation } = match(a, b);
        const reversed = match([...a].reverse(), [...b].reverse());
        expectSame(reversed.correlation, correlation);
        const scaled = match(
          a.map((row) => row.map((x) => x * scale)),
          b,
        );
        expectSame(scaled.correlation, correlation);
      }),
      { numRuns: 60 },
    );
  });

  it("follows a permutation of the latents", () => {
    const a = randomTable(3, 50, 5);
    const b = randomTable(4, 50, 6);
    const order = [4, 2, 0, 5, 1, 3];
    const plain = match(a, b);
    const permuted = match(
      a,
      b.map((row) => order.map((j) => row[j])),
    );
    expect([...permuted.child].map((j) => order[j])).toEqual([...plain.child]);
    expectSame(permuted.correlation, plain.correlation);
  });

  it("gives latents that never fire, or are constant, no partner", () => {
    const a = [
      [0, 1, 1],
      [0, 1, 0],
      [0, 1, 2],
    ];
    const { child, correlation, relative } = match(a, a);
    expect([...child]).toEqual([-1, -1, 2]);
    expect([...relative]).toEqual([-1, -1, 2]);
    expect(correlation[0]).toBeNaN();
    expect(correlation[2]).toBeCloseTo(1, 12);
  });

  it("finds nothing on a single token", () => {
    expect([...match([[1, 2]], [[1]]).child]).toEqual([-1, -1]);
  });

  it("takes the lower index of identical children", () => {
    const a = [[1], [0], [2]];
    const b = a.map(([x]) => [0, x, x]);
    expect(match(a, b).child[0]).toBe(1);
  });

  it("lets only candidates claim a child", () => {
    const a = [
      [1, 2],
      [0, 0],
      [2, 1],
      [0, 3],
    ];
    const b = a.map(([x]) => [x]);
    const { relative, claimant } = match(a, b, 1, Uint8Array.of(0, 1));
    expect(relative[0]).toBe(0);
    expect(claimant[0]).toBe(1);
  });

  it("refuses dictionaries on different rows", () => {
    expect(() => match([[1], [0]], [[1]])).toThrow("internal: correlation needs the same rows");
  });
});

describe("coactivations", () => {
  it("moves the firings on circularly", () => {
    const a = codesOf([[1], [0], [2]]);
    const b = codesOf([
      [0, 5],
      [7, 0],
      [0, 11],
    ]);
    const sums = new Float64Array(2);
    // Shift 1: x becomes (2, 1, 0).
    coactivations(firingsOf(a, "a"), 0, b, sums, 1);
    expect([...sums]).toEqual([7, 10]);
  });
});
