/**
 * Likeness over a stage's training: of the grown model to its parent and to the from-scratch model, of the from-scratch
 * model to the parent after as many tokens, with random weights as the floor.
 */

import type { Estimate } from "../run-data/estimate.ts";
import type { RunData } from "../run-data.ts";
import { decimal } from "./format.ts";
import type { CurvesView, Series } from "./loss-curves.ts";

/** The curves of stage `index`, by tokens of its training; null where nothing was measured at two points. */
export function likenessCurves(run: RunData, index: number): CurvesView | null {
  const likeness = run.stages[index].likeness;
  if (likeness === null || likeness.child.length < 2) return null;
  const { child, scratch, references, crossings } = likeness;
  const before = child[0].total_tokens - child[0].tokens;
  const curve = (
    label: string,
    colour: string,
    dash: string | null,
    values: readonly (readonly [tokens: number, Estimate | null])[],
  ): Series[] => {
    const points = values.flatMap(([tokens, estimate]) =>
      estimate?.value == null ? [] : [[tokens, estimate.value] as const],
    );
    if (points.length < 2) return [];
    return [{ label, colour, dash, points, end: decimal(points[points.length - 1][1]) }];
  };
  const series = [
    ...curve(
      "to its parent",
      "persisted",
      null,
      child.map(({ tokens, to_parent }) => [tokens, to_parent]),
    ),
    ...curve(
      "in place",
      "persisted",
      "1.5 3",
      child.map(({ tokens, in_place }) => [tokens, in_place]),
    ),
    ...curve(
      "to scratch",
      "drifted",
      null,
      child.map(({ tokens, to_scratch }) => [tokens, to_scratch]),
    ),
    ...curve(
      "scratch to parent",
      "drifted",
      "5 3",
      (scratch ?? []).map(({ total_tokens, to_parent }) => [total_tokens - before, to_parent]),
    ),
  ];
  const random = references.random?.to_parent.value ?? null;
  const crossed = crossings.scratch_nearer;
  return {
    series,
    moments: crossed === null ? [] : [{ x: crossed.tokens, label: "the curves cross", note: "" }],
    reference:
      random === null ? null : { y: random, label: `random weights to parent ${decimal(random)}` },
  };
}

/** What the curves come to, in words; null where there are none. */
export function likenessSentence(run: RunData, index: number): string | null {
  const likeness = run.stages[index].likeness;
  const end = likeness?.child.at(-1);
  if (!likeness || end === undefined) return null;
  const { references, crossings } = likeness;
  const kept = end.corrected.value;
  const grown = references.no_expand;
  return [
    ...(kept === null
      ? []
      : [
          `At the end ${decimal(kept)} of what sets the parent apart from a from-scratch model is left${
            grown?.to_parent.value == null || end.to_parent.value === null
              ? ""
              : ` (likeness ${decimal(end.to_parent.value)}; of the parent trained on without growth ${decimal(grown.to_parent.value)})`
          }.`,
        ]),
    ...(end.to_scratch === null
      ? []
      : [
          crossings.scratch_nearer === null
            ? "The curves to its parent and to scratch don’t cross."
            : "After the crossing it is more like the from-scratch model than like its parent.",
        ]),
  ].join(" ");
}
