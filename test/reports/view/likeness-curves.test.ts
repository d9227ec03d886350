import { expect, test } from "vitest";
import type { LikenessSummary } from "../../../reports/run-data/likeness.ts";
import { likenessCurves, likenessSentence } from "../../../reports/view/likeness-curves.ts";
import { run, stage } from "../small-run.ts";

const to = (value: number | null) => ({ value, ci: null });
const pair = (parent: number, scratch: number | null) => ({
  to_parent: to(parent),
  to_scratch: scratch === null ? null : to(scratch),
});
const point = (
  tokens: number,
  parent: number,
  scratch: number | null,
  corrected: number | null,
) => ({
  tokens,
  total_tokens: 500 + tokens,
  ...pair(parent, scratch),
  in_place: to(parent - 0.1),
  corrected: to(corrected),
});
const likeness: LikenessSummary = {
  sae: "resid",
  child: [point(0, 1, 0.5, 1), point(100, 0.95, 0.53, 0.9)],
  scratch: [
    { total_tokens: 500, to_parent: to(0.4) },
    { total_tokens: 600, to_parent: to(0.5) },
  ],
  references: {
    parent: pair(1, 0.5),
    no_expand: pair(0.96, 0.52),
    random: pair(0.1, 0.08),
  },
  crossings: { half: null, scratch_nearer: null },
};
const of = (changes: Partial<LikenessSummary> = {}) =>
  run([stage("00-base"), stage("01-wider", { likeness: { ...likeness, ...changes } })]);

test("four curves by tokens since the expansion, random weights as the floor", () => {
  const view = likenessCurves(of(), 1);
  expect(view?.series.map(({ label, end }) => [label, end])).toEqual([
    ["to its parent", "0.95"],
    ["in place", "0.85"],
    ["to scratch", "0.53"],
    ["scratch to parent", "0.50"],
  ]);
  expect(view?.series[3].points).toEqual([
    [0, 0.4],
    [100, 0.5],
  ]);
  expect(view?.reference).toEqual({ y: 0.1, label: "random weights to parent 0.10" });
  expect(view?.moments).toEqual([]);
  expect(likenessSentence(of(), 1)).toBe(
    "At the end 0.90 of what sets the parent apart from a from-scratch model is left (likeness 0.95; of the parent trained on without growth 0.96). The curves to its parent and to scratch don’t cross.",
  );
});

test("a crossing is marked and said", () => {
  const crossed = of({
    crossings: { half: null, scratch_nearer: { after: 0, by: 100, tokens: 40 } },
  });
  expect(likenessCurves(crossed, 1)?.moments).toEqual([
    { x: 40, label: "the curves cross", note: "" },
  ]);
  expect(likenessSentence(crossed, 1)).toContain("more like the from-scratch model");
});

test("without a from-scratch model there are the child's own curves; of a base, a single point or nothing none", () => {
  const child = [point(0, 1, null, null), point(100, 0.9, null, null)];
  const references = { parent: pair(1, null), no_expand: null, random: null };
  const alone = of({ child, scratch: null, references });
  expect(likenessCurves(alone, 1)?.series.map(({ label }) => label)).toEqual([
    ...["to its parent", "in place"],
  ]);
  expect(likenessCurves(alone, 1)?.reference).toBeNull();
  expect(likenessSentence(alone, 1)).toBe("");
  expect(likenessCurves(of({ child: child.slice(1) }), 1)).toBeNull();
  expect(likenessCurves(of(), 0)).toBeNull();
  expect(likenessSentence(of(), 0)).toBeNull();
});
