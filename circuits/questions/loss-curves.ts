/**
 * Held-out loss of two models at matched tokens and at matched FLOPs. Both curves are read at the
 * largest amount that both reached, by straight lines in the logarithm of the amount, never beyond
 * their ends. A curve read before its end is read before its learning rate has fallen, which
 * disfavours it: `read` says at what share of its whole each was read.
 */
import type { FiveQuestionsInput, LossPoint, ModelEvidence } from "./evidence.ts";

export type Axis = "tokens" | "flops";

/** Loss points of one trajectory, by tokens; its last point is the end of its training. */
export type LossCurve = readonly {
  readonly tokens: number;
  readonly flops: number | null;
  readonly loss: number;
}[];

type LossPointOf = LossCurve[number];

/** Two losses at one amount of training. */
export interface Matched {
  readonly axis: Axis;
  readonly at: number;
  readonly grown: number;
  readonly control: number;
  /** Where each curve was read, as a share of its whole training. */
  readonly read: { readonly grown: number; readonly control: number };
}

/**
 * The points of an arm, with the end points that the stages' evaluations state, in order. One at the curve's
 * end takes the place of what training logged there, for it was measured on more text.
 */
export function lossCurve(
  lines: readonly LossPoint[],
  arm: string,
  ends: readonly ModelEvidence[],
): LossCurve {
  const stated = ends.flatMap(({ held_out_loss, tokens_trained, flops_trained }) =>
    held_out_loss === null || tokens_trained === null
      ? []
      : [{ tokens: tokens_trained, flops: flops_trained, loss: held_out_loss }],
  );
  const logged = lines.flatMap(({ arm: of, phase, tokens, flops, held_out_loss }) =>
    of !== arm || phase !== "lm" || held_out_loss == null
      ? []
      : [{ tokens, flops: flops ?? null, loss: held_out_loss }],
  );
  const end = logged.reduce<LossPointOf | null>((a, b) => (a && a.tokens > b.tokens ? a : b), null);
  const last = stated.at(-1);
  const isEnd =
    end !== null &&
    last !== undefined &&
    end.tokens >= last.tokens &&
    logged.every((point) => point === end || point.tokens < last.tokens);
  // training ends with a whole batch, so that the end is logged a little beyond the amount that is stated
  const points = isEnd
    ? [
        ...stated.slice(0, -1),
        ...logged.filter((point) => point !== end),
        { ...end, loss: last.loss },
      ]
    : [...stated, ...logged];
  return points.sort((a, b) => a.tokens - b.tokens);
}

/** The grown model's curve over all stages. */
export function grownCurve({ stages, curves }: FiveQuestionsInput): LossCurve {
  return lossCurve(
    curves,
    "carried",
    stages.map((stage) => stage.eval.model),
  );
}

/** Loss at an amount of tokens or FLOPs; null outside the curve. The later of two points at one amount wins (a model before and after its expansion). */
export function lossAt(curve: LossCurve, axis: Axis, amount: number): number | null {
  const points = curve.filter((point) => point[axis] !== null && point[axis] > 0);
  const after = points.findIndex((point) => point[axis]! > amount);
  const left = points.at(after < 0 ? -1 : after - 1);
  if (left === undefined || after === 0) return null;
  if (left[axis] === amount) return left.loss;
  if (after < 0) return null;
  const [from, to] = [Math.log(left[axis]!), Math.log(points[after][axis]!)];
  const share = (Math.log(amount) - from) / (to - from);
  return left.loss + share * (points[after].loss - left.loss);
}

/** Both losses at the largest amount that both reached; null where a curve doesn't go there. */
export function matchCurves(grown: LossCurve, control: LossCurve, axis: Axis): Matched | null {
  const [end, other] = [grown.at(-1)?.[axis] ?? null, control.at(-1)?.[axis] ?? null];
  if (end === null || other === null) return null;
  const at = Math.min(end, other);
  const losses = [lossAt(grown, axis, at), lossAt(control, axis, at)];
  if (losses[0] === null || losses[1] === null) return null;
  const read = { grown: at / end, control: at / other };
  return { axis, at, grown: losses[0], control: losses[1], read };
}
