// A crosscoder's figures by hand, and planted features whose owners are known: decoder norms alone take features that
// both models have for one model's when the crosscoder has an artefact, latent scaling sees them.
import { expect, test } from "vitest";
import { crosscoderClasses } from "../../../sae/crosscoder/classes.ts";
import { joinRows, sideRows } from "../../../sae/crosscoder/crosscoder.ts";
import { measureCrosscoder } from "../../../sae/crosscoder/measure-crosscoder.ts";
import { createRng } from "../../../src/engine/index.ts";
import { handmade, type Owner, plant, plantedBlocks, plantedFrame } from "./support.ts";

test("rows are joined with each side's scale, and taken apart again", () => {
  const crosscoder = handmade(2, 1, [[1, 0, 0]], [[1, 0, 0]], [2, 10]);
  const rows = joinRows(crosscoder, Float32Array.of(1, 2, 3, 4), Float32Array.of(5, 6));
  expect([...rows]).toEqual([2, 4, 50, 6, 8, 60]);
  expect([...sideRows(crosscoder, "parent", rows)]).toEqual([2, 4, 6, 8]);
  expect([...sideRows(crosscoder, "child", rows)]).toEqual([50, 60]);
});

test("Δ, cosine and ν by hand", async () => {
  // One latent that reads the parent's first coordinate less .2, with parts (1, 0) and (0.3, 0.4), scales 1 and 1;
  // the map takes (a, b) to (2a, 2b), so the reference in the child is (2, 0).
  const crosscoder = handmade(2, 2, [[1, 0, 0, 0]], [[1, 0, 0.3, 0.4]]);
  const blocks = [
    {
      parent: Float32Array.of(1.2, 0, 2.2, 0),
      child: Float32Array.of(3, 1, 4, 2),
      sequenceLength: 1,
    },
  ];
  const measures = await measureCrosscoder(crosscoder, blocks, plantedFrame(2, 2), createRng(1));
  // f = 1, 2: ‖parts‖ 1 and .5, the child's half as long
  expect([...measures.codes.value]).toBeAllclose([1, 2], { rtol: 1e-6 });
  expect(measures.delta[0]).toBeCloseTo(0.25, 6);
  expect(measures.figures.normRatio[0]).toBeCloseTo(0.5, 6);
  expect(measures.cosine[0]).toBeCloseTo(0.6, 6);
  // what is left with the latent's own part put back is the rows themselves: (1.2, 0), (2.2, 0) and (3, 1), (4, 2)
  const errorParent = (1 * 1.2 + 2 * 2.2) / 5;
  const errorChild = (1 * 2 * 3 + 2 * 2 * 4) / (5 * 4);
  expect(measures.figures.nuError[0]).toBeCloseTo(errorChild / errorParent, 5);
  // the reconstruction is f (1, 0) and f (.3, .4)
  expect(measures.figures.nuReconstruction[0]).toBeCloseTo((2 * 0.3) / 4, 5);
  expect(measures.l0).toBe(1);
  expect(measures.fvuParent).toBeCloseTo((0.2 ** 2 * 2) / (2 * 0.5 ** 2), 5);
});

const owners: readonly Owner[] = ["shared", "parent-only", "child-only", "shared", "shared"];
const [d, D] = [6, 8];

/** A joined row with ones at these coordinates. */
function at(...coordinates: readonly number[]): number[] {
  return Array.from({ length: d + D }, (_, j) => (coordinates.includes(j) ? 1 : 0));
}

test("complete shrinkage and latent decoupling: wrong by norms, right after latent scaling", async () => {
  const directions = Float32Array.from({ length: 5 * d }, (_, i) =>
    i % d === Math.floor(i / d) ? 1 : 0,
  );
  const planted = plant(
    owners,
    directions,
    4096,
    { d, D, rate: 0.1, noise: 0.02 },
    createRng("owners"),
  );
  const half = at(0, d).map((x) => x / 2);
  const [parent, child] = [1, 2].map((g) => at(g === 1 ? g : d + g));
  // feature 3 has lost its child's part; feature 4 has a latent for each model
  const one = [parent, child, at(3), at(4), at(d + 4)];
  const crosscoder = handmade(d, D, [half, ...one], [at(0, d), ...one], [1, 0.5]);
  const blocks = [...plantedBlocks(planted)];
  const measures = await measureCrosscoder(crosscoder, blocks, plantedFrame(d, D), createRng(2));
  const found = crosscoderClasses(measures);
  const norms = ["shared", "parent-only", "child-only", "parent-only", "parent-only", "child-only"];
  expect(found.byNorm).toEqual(norms);
  expect(found.classes).toEqual([
    ...["shared", "parent-only", "child-only"],
    ...["shared", "shared", "shared"],
  ]);
  expect(found.artefact).toEqual([null, null, null, "shrinkage", "decoupling", "decoupling"]);
  expect(measures.figures.nuError[3]).toBeCloseTo(1, 1);
  expect(measures.figures.nuReconstruction[4]).toBeCloseTo(1, 1);
  expect(Math.abs(measures.figures.nuError[1])).toBeLessThan(0.05);
  expect(Math.abs(measures.figures.nuReconstruction[2])).toBeLessThan(0.1);
  expect([...found.aligned]).toEqual([1, 0, 0, 0, 0, 0]); // the others have a part of zeros
  // chance finds less in more tokens
  const longer = { ...crosscoder, tokens: 4 * 4096 };
  const more = await measureCrosscoder(longer, blocks, plantedFrame(d, D), createRng(2));
  expect(more.chance.normRatio).toBeAllclose(
    measures.chance.normRatio.map((x) => x / 2),
    {
      ...{ rtol: 1e-12, atol: 0 },
    },
  );
  // without a map there is no latent scaling, and the norms have the last word
  const bare = await measureCrosscoder(crosscoder, blocks, null, createRng(2));
  expect(crosscoderClasses(bare).classes).toEqual(norms);
  expect([...bare.cosine].every(Number.isNaN)).toBe(true);
  // too rare to tell
  expect(new Set(crosscoderClasses(measures, { minFirings: 1e4 }).classes)).toEqual(
    new Set(["unknown"]),
  );
});

test("a threshold is the null's 99th percentile where that is above the floor", async () => {
  const delta = new Float64Array(200).fill(0);
  const even = (from: number, to: number): Float64Array =>
    Float64Array.from(delta, (_, i) => from + ((to - from) * i) / 199);
  const codes = {
    ...{ nTokens: 3, dSae: 200, rowStart: Int32Array.of(0, 200, 400, 400) },
    latent: Int32Array.from({ length: 400 }, (_, p) => p % 200),
    value: Float32Array.from({ length: 400 }, (_, p) => 1 + Math.floor(p / 200)),
  };
  const none = new Float64Array(200).fill(0);
  const figures = { normRatio: even(0, 1), nuError: none, nuReconstruction: none };
  const chance = { normRatio: even(0, 0.5), nuError: none, nuReconstruction: none };
  const cosine = even(-1, 1);
  const rest = { l0: 2, fvuParent: 0, fvuChild: 0, cosine, chanceCosine: even(-0.8, 0.8) };
  const { thresholds, byNorm, aligned } = crosscoderClasses(
    { codes, delta, figures, chance, ...rest },
    { minFirings: 2 },
  );
  expect(thresholds.normRatio.null_p99).toBeCloseTo(0.495, 10);
  expect(thresholds.normRatio.used).toBeCloseTo(0.495, 10);
  expect(thresholds.nuError).toEqual({ floor: 0.2, null_p99: 0, used: 0.2 });
  expect(byNorm.filter((of) => of === "shared").length).toBe(101); // ratios from 99/199 on
  // cosines of different latents reach .8: their 99th percentile is .784, and of the shared 22 lie above it
  expect(thresholds.cosine.used).toBeCloseTo(0.784, 10);
  expect(aligned.reduce((sum, one) => sum + one, 0)).toBe(22);
});
