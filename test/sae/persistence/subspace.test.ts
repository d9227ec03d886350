import { describe, expect, it } from "vitest";
import { directions } from "../../../sae/persistence/cosine.ts";
import { prepareSide } from "../../../sae/persistence/function-matches.ts";
import { basisOf, meanSquaredCosine, subspaceOverlap } from "../../../sae/persistence/subspace.ts";
import { createRng } from "../../../src/engine/random.ts";
import { codesOf, randomTable } from "./support.ts";

describe("basisOf and meanSquaredCosine", () => {
  const rows = directions([1, 0, 0, 1, 1, 0, 2, 0, 0, 0, 0, 1], 3);

  it("give cos² of the angle of two lines, and its mean over two planes, by hand", () => {
    expect(meanSquaredCosine(basisOf(rows, [0]), basisOf(rows, [1]))).toBeCloseTo(0.5, 12);
    // span{e₁, e₁ + e₂} is the plane of e₁ and e₂; span{e₁, e₃} shares one direction of it
    expect(meanSquaredCosine(basisOf(rows, [0, 1]), basisOf(rows, [0, 3]))).toBeCloseTo(0.5, 12);
    expect(meanSquaredCosine(basisOf(rows, [0, 1]), basisOf(rows, [1, 2]))).toBeCloseTo(1, 12);
  });

  it("count a row that is in the span already once", () => {
    expect(basisOf(rows, [0, 2])).toHaveLength(1);
    expect(basisOf(rows, [])).toHaveLength(0);
  });
});

describe("subspaceOverlap", () => {
  const width = 24;
  const n = 12;
  // Latents 0–3 fire together; the child's latents 0–3 fire with them in other directions of the same plane.
  const shared = randomTable("shared", 500, 1, 0.1);
  const own = randomTable("own", 500, n, 0.1);
  const table = own.map((row, t) =>
    row.map((x, i) => (i < 4 ? shared[t][0] * (0.5 + (x > 0 ? 1 : 0)) : x)),
  );
  const side = prepareSide(codesOf(table), "parent", 10, 0.999);
  const rng = createRng("directions");
  const parentRows = Array.from({ length: n * width }, () => rng.normal());
  const inPlane = (seed: string): number[] => {
    const mix = createRng(seed);
    return Array.from({ length: n }, (_, j) => {
      const row = new Array<number>(width).fill(0);
      if (j >= 4) return row.map(() => mix.normal());
      for (let i = 0; i < 4; i++) {
        const weight = mix.normal();
        for (let a = 0; a < width; a++) row[a] += weight * parentRows[i * width + a];
      }
      return row;
    }).flat();
  };
  const mapped = directions(parentRows, width);
  const unstable = Uint8Array.from({ length: n }, (_, i) => (i < 5 ? 1 : 0));

  it("is 1 where the directions changed and their span did not, and far above the null", () => {
    const child = directions(inPlane("mix"), width);
    const { overlap, null99 } = subspaceOverlap(side, side, unstable, mapped, child, createRng(1));
    for (let i = 0; i < 4; i++) expect(overlap[i]).toBeCloseTo(1, 6);
    // A basis of 4 in 24 dimensions meets a random one in 1/6.
    expect(null99).toBeGreaterThan(0.1);
    expect(null99).toBeLessThan(0.6);
  });

  it("is low where the span changed, and not measured for loners and stable latents", () => {
    const other = createRng("elsewhere");
    const child = directions(
      Array.from({ length: n * width }, () => other.normal()),
      width,
    );
    const { overlap } = subspaceOverlap(side, side, unstable, mapped, child, createRng(1));
    expect(Math.max(...overlap.slice(0, 4))).toBeLessThan(0.5);
    expect([...overlap.slice(4)].every(Number.isNaN)).toBe(true);
    const none = subspaceOverlap(side, side, new Uint8Array(n), mapped, child, createRng(1));
    expect(none.null99).toBeNaN();
  });
});
