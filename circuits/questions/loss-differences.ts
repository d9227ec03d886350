/**
 * The grown model's held-out loss against that of a control of the last stage, at matched tokens and at matched FLOPs.
 * Intervals come from the held-out sample alone (standard errors added as if independent, though the sequences are the
 * same: too wide rather than too narrow); the spread between training seeds is not in them.
 */
import { expansions, type FiveQuestionsInput, type ModelEvidence } from "./evidence.ts";
import { grownCurve, lossCurve, type Matched, matchCurves } from "./loss-curves.ts";

/** A control that the grown model's loss is compared with: a model of its size from fresh weights, or its parent trained on. */
export type ControlArm = "scratch" | "no-expand";

/** A difference of losses in nats per token, with its half-width (95%; null without a standard error). */
export interface Difference {
  readonly matched: Matched;
  readonly value: number;
  readonly half: number | null;
}

/**
 * factor · (grown − control), at matched tokens and then at matched FLOPs; empty where the last stage has no such
 * control or the curves share no amount of training at which both were measured.
 */
export function lossDifferences(
  input: FiveQuestionsInput,
  arm: ControlArm,
  factor: 1 | -1,
): Difference[] {
  const last = expansions(input).at(-1);
  const control = last?.eval.controls?.[arm];
  if (last === undefined || control === undefined || control.held_out_loss === null) return [];
  const grown = grownCurve(input);
  const other = lossCurve(input.curves, arm, [...shared(input, arm), control]);
  const se = last.eval.model.held_out_se ?? null;
  const half = se === null ? null : 1.96 * Math.hypot(se, control.held_out_se ?? se);
  return (["tokens", "flops"] as const).flatMap((axis) => {
    const matched = matchCurves(grown, other, axis);
    if (matched === null) return [];
    return [{ matched, half, value: factor * (matched.grown - matched.control) }];
  });
}

/** The 95% interval of a difference; null without a half-width. */
export function differenceInterval({ value, half }: Difference): readonly [number, number] | null {
  return half === null ? null : [value - half, value + half];
}

/** End points that an arm shares with the real trajectory: `no-expand` goes on from the last stage's parent. */
function shared({ stages }: FiveQuestionsInput, arm: string): ModelEvidence[] {
  return arm === "no-expand" ? [stages[stages.length - 2].eval.model] : [];
}
