// Likeness over training, summed up: the scale, the crossings, what is null.
import { describe, expect, test } from "vitest";
import {
  type ChildMeasure,
  crossing,
  type Likeness,
  type LikenessMeasures,
  likenessCurves,
} from "../../../sae/likeness/index.ts";

const likeness = (value: number, spread = 0.01): Likeness => ({
  mean: { value, replicates: Float64Array.from([-1, 0, 1], (x) => value + x * spread) },
  share: value,
  r2: Number.NaN,
});

const point = (tokens: number, parent: number, scratch: number): ChildMeasure => ({
  tokens,
  total_tokens: 1000 + tokens,
  to_parent: likeness(parent, 0.02),
  to_scratch: likeness(scratch),
  in_place: likeness(parent / 2),
});

const measures: LikenessMeasures = {
  sae: "resid",
  tokens: 400,
  latents: { parent: 20, scratch: 18 },
  child: [point(0, 1, 0.5), point(100, 0.8, 0.6), point(200, 0.6, 0.7)],
  scratch: [
    { total_tokens: 1010, to_parent: likeness(0.4) },
    { total_tokens: 1190, to_parent: likeness(0.5) },
  ],
  references: {
    parent: { to_parent: likeness(1), to_scratch: likeness(0.5) },
    no_expand: null,
    random: { to_parent: likeness(0.1), to_scratch: null },
  },
};

describe("likenessCurves", () => {
  test("the scale runs from the from-scratch model after as many tokens to the parent", () => {
    const { child, scratch, references } = likenessCurves(measures);
    // (1 − .4)/(1 − .4), (.8 − .4)/(1 − .4) from the nearer checkpoint, (.6 − .5)/(1 − .5)
    const corrected = child.map((at) => at.corrected.value);
    [1, 2 / 3, 0.2].forEach((value, i) => {
      expect(corrected[i]).toBeCloseTo(value);
    });
    // the lowest replicate is (.78 − .39)/(.99 − .39), the highest (.82 − .41)/(1.01 − .41)
    expect(child[1].corrected.ci?.[0]).toBeLessThan(0.66);
    expect(child[1].corrected.ci?.[1]).toBeGreaterThan(0.67);
    expect(child[1].in_place.value).toBe(0.4);
    expect(scratch?.map(({ to_parent }) => to_parent.value)).toEqual([0.4, 0.5]);
    expect(references.random?.to_scratch).toBeNull();
    expect(references.parent.to_parent.r2).toBeNull();
  });

  test("curves cross where their difference changes its sign, on a straight line between two points", () => {
    const { half, scratch_nearer } = likenessCurves(measures).crossings;
    // 2/3 − 1/2 to 1/5 − 1/2 over 100 tokens; .8 − .6 to .6 − .7
    expect(half).toMatchObject({ after: 100, by: 200 });
    expect(half?.tokens).toBeCloseTo(100 + (100 * (1 / 6)) / (1 / 6 + 3 / 10));
    expect(scratch_nearer?.tokens).toBeCloseTo(100 + (100 * 0.2) / 0.3);
  });

  test("without a from-scratch model there is no scale and no crossing", () => {
    const child = measures.child.map((at) => ({ ...at, to_scratch: null }));
    const alone = likenessCurves({ ...measures, child, scratch: null });
    expect(alone.child.map(({ corrected }) => corrected)).toEqual(
      child.map(() => ({ value: null, ci: null })),
    );
    expect([alone.scratch, alone.crossings.half, alone.crossings.scratch_nearer]).toEqual([
      ...[null, null, null],
    ]);
    expect(alone.child[0].to_parent.value).toBe(1);
  });

  test("a from-scratch model about as like the parent as the parent itself gives no scale", () => {
    const scratch = [{ total_tokens: 1000, to_parent: likeness(0.98, 0.03) }];
    const { child, crossings } = likenessCurves({ ...measures, scratch });
    expect(child.map(({ corrected }) => corrected.value)).toEqual([null, null, null]);
    expect(crossings.half).toBeNull();
  });
});

test("a difference below 0 from the first point on crosses there; one that never is, nowhere", () => {
  const at = (...differences: number[]) =>
    crossing(differences.map((difference, i) => ({ tokens: 10 * i, difference })));
  expect(at(-0.1, 0.2)).toEqual({ after: null, by: 0, tokens: 0 });
  expect(at(0.3, 0, 0.1)).toBeNull();
  expect(at(0.3, 0.1, -0.1, 0.2)).toEqual({ after: 10, by: 20, tokens: 15 });
  expect(at()).toBeNull();
});
