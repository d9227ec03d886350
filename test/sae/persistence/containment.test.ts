import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type PairOverlap, pairOverlap, withLevels } from "../../../sae/persistence/containment.ts";
import { firingsOf } from "../../../sae/persistence/firings.ts";
import { quantile } from "../../../sae/persistence/quantile.ts";
import { codesOf, column, naiveCorrelation, tablePair } from "./support.ts";

function overlap(x: number[], y: number[]): PairOverlap {
  const side = (values: number[]) =>
    withLevels(firingsOf(codesOf(values.map((value) => [value])), "codes"));
  return pairOverlap(side(x), 0, side(y), 0);
}

describe("pairOverlap", () => {
  it("counts strong firings against any firing of the other, by hand", () => {
    // Strong above half the 99th percentile: x above ≈ 1.97 (4, 4), y above ≈ 0.99 (2, 2).
    const x = [4, 4, 1, 0, 0, 0];
    const y = [0.5, 0, 2, 2, 0, 0];
    const { containPc, containCp, jaccard } = overlap(x, y);
    expect(containPc).toBe(1 / 2); // of tokens 0 and 1, the child fires at 0
    expect(containCp).toBe(1 / 2); // of tokens 2 and 3, the parent fires at 2
    expect(jaccard).toBe(2 / 4);
  });

  it("weighs the Jaccard by activations in units of each latent's own 99.9th percentile", () => {
    // One value each, so the units are 4 and 2: â = (1, 1, 0), b̂ = (1, 0, 1).
    expect(overlap([4, 4, 0], [2, 0, 2]).wjaccard).toBeCloseTo(1 / 3, 14);
    expect(overlap([4, 2, 0], [2, 1, 0]).wjaccard).toBeCloseTo(1, 6);
  });

  it("is total for identical latents and zero for disjoint ones", () => {
    expect(overlap([1, 0, 3], [1, 0, 3])).toMatchObject({
      containPc: 1,
      containCp: 1,
      jaccard: 1,
      wjaccard: 1,
    });
    expect(overlap([1, 0, 3], [0, 2, 0])).toMatchObject({
      containPc: 0,
      containCp: 0,
      jaccard: 0,
      wjaccard: 0,
    });
  });

  it("has no containment of a latent that never fires", () => {
    const { containPc, containCp, correlation } = overlap([0, 0], [1, 0]);
    expect(containPc).toBeNaN();
    expect(containCp).toBe(0);
    expect(correlation).toBeNaN();
  });

  it("agrees with the dense definitions, is mirrored by swapping sides, and ignores scale", () => {
    fc.assert(
      fc.property(tablePair, ([a, b]) => {
        const [x, y] = [column(a, 0), column(b, 0)];
        const level = (v: number[]) =>
          quantile(
            v.filter((e) => e > 0),
            0.99,
          ) / 2;
        const contain = (v: number[], w: number[]) => {
          const strong = v.flatMap((e, t) => (e > level(v) ? [t] : []));
          return strong.filter((t) => w[t] > 0).length / strong.length;
        };
        const got = overlap(x, y);
        expect(got.containPc).toEqual(contain(x, y));
        expect(got.containCp).toEqual(contain(y, x));
        const r = naiveCorrelation(x, y);
        if (Number.isNaN(r)) expect(got.correlation).toBeNaN();
        else expect(got.correlation).toBeCloseTo(r, 10);
        const swapped = overlap(y, x);
        expect(swapped.containPc).toEqual(got.containCp);
        expect(swapped.wjaccard).toEqual(got.wjaccard);
        const scaled = overlap(
          x.map((e) => 4 * e),
          y,
        );
        expect(scaled.containPc).toEqual(got.containPc);
        expect(scaled.wjaccard).toEqual(got.wjaccard);
      }),
      { numRuns: 60 },
    );
  });
});
