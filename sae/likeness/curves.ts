/**
 * @file Likeness over training: is a grown model more like its parent or like a model of its size that was trained
 * from scratch, and where do the curves cross?
 *   to_parent  of the child, falls from about 1; of the from-scratch model after as many tokens: what any model of the
 *              size learns from the text, B
 *   corrected  (child − B) / (parent − B): of what sets the parent apart from a from-scratch model, the part the child
 *              still shows. ½ = as near to one as to the other, 0 = the child's curve meets the from-scratch model's
 *   to_scratch of the child, by the from-scratch model's own SAE. It begins as high as two models of one text are like
 *              each other anyway; what the unexpanded parent gains by training as long is no work of the bigger size
 * Only the child's own points are a curve over its training; what is measured once stands in `references`.
 */
import { combine, type Sample } from "../persistence/bootstrap.ts";
import { type Estimate, estimate, isSolid } from "../persistence/estimands.ts";
import { type Likeness, type LikenessDocument, likenessDocument } from "./likeness.ts";

/** The likeness of one model to the parent, and to the from-scratch model where that has an SAE. */
export interface Likenesses {
  readonly to_parent: Likeness;
  readonly to_scratch: Likeness | null;
}

/** The child at a checkpoint. */
export interface ChildMeasure extends Likenesses {
  /** Tokens of this stage's training, and of all stages together. */
  readonly tokens: number;
  readonly total_tokens: number;
  /** The same with the carried SAE, untrained and through no fitted map: what stayed where it was. */
  readonly in_place: Likeness;
}

/** The from-scratch model at a checkpoint. */
export interface ScratchMeasure {
  readonly total_tokens: number;
  readonly to_parent: Likeness;
}

/** All that is measured of one SAE at one stage. */
export interface LikenessMeasures {
  readonly sae: string;
  /** Held-out token rows. */
  readonly tokens: number;
  /** Latents judged. */
  readonly latents: { readonly parent: number; readonly scratch: number | null };
  /** In order; the first right after the expansion, the last at the end of training. */
  readonly child: readonly ChildMeasure[];
  /** In order, null without that arm. */
  readonly scratch: readonly ScratchMeasure[] | null;
  readonly references: {
    /** The parent itself: the ceiling of `to_parent`. */
    readonly parent: Likenesses;
    /** The parent trained on unexpanded, at its end. */
    readonly no_expand: Likenesses | null;
    /** A model of the child's size with random weights: the floor. */
    readonly random: Likenesses | null;
  };
}

interface LikenessesDocument {
  readonly to_parent: LikenessDocument;
  readonly to_scratch: LikenessDocument | null;
}

/** A point of the child's curves. */
export interface ChildPoint extends LikenessesDocument {
  readonly tokens: number;
  readonly total_tokens: number;
  readonly in_place: LikenessDocument;
  /** Null without a from-scratch model, or where it is as like the parent as the parent itself within 3 standard errors. */
  readonly corrected: Estimate;
}

/** Where a curve first falls below another: between two checkpoints, and by a straight line between them. */
export interface Crossing {
  /** Tokens of this stage's training at the last checkpoint before; null where it is below from the first on. */
  readonly after: number | null;
  readonly by: number;
  readonly tokens: number;
}

/** One SAE in likeness.json. */
export interface SaeLikeness extends Pick<LikenessMeasures, "sae" | "tokens" | "latents"> {
  readonly child: readonly ChildPoint[];
  readonly scratch:
    | readonly { readonly total_tokens: number; readonly to_parent: LikenessDocument }[]
    | null;
  readonly references: {
    readonly parent: LikenessesDocument;
    readonly no_expand: LikenessesDocument | null;
    readonly random: LikenessesDocument | null;
  };
  /** Null members: the curves don't cross within this training. */
  readonly crossings: {
    /** Where `corrected` falls below ½; also null where it has no points. */
    readonly half: Crossing | null;
    /** Where `to_parent` falls below `to_scratch`; also null without that. */
    readonly scratch_nearer: Crossing | null;
  };
}

/** Sums the measures up. */
export function likenessCurves(measures: LikenessMeasures): SaeLikeness {
  const { sae, tokens, latents, child, scratch, references } = measures;
  const parent = references.parent.to_parent.mean;
  const points = child.map((point) => {
    const { tokens: own, total_tokens, in_place } = point;
    const basis = scratch && atTokens(scratch, total_tokens);
    return {
      tokens: own,
      total_tokens,
      ...likenessesDocument(point),
      in_place: likenessDocument(in_place),
      corrected: estimate(basis && correctedOf(point.to_parent.mean, basis, parent), true),
    };
  });
  const halves = points.flatMap(({ tokens: at, corrected: { value } }) =>
    value === null ? [] : [{ tokens: at, difference: value - 0.5 }],
  );
  const nearer = points.flatMap(({ tokens: at, to_parent, to_scratch }) =>
    to_parent.value === null || to_scratch?.value == null
      ? []
      : [{ tokens: at, difference: to_parent.value - to_scratch.value }],
  );
  return {
    ...{ sae, tokens, latents },
    child: points,
    scratch:
      scratch?.map(({ total_tokens, to_parent }) => ({
        total_tokens,
        to_parent: likenessDocument(to_parent),
      })) ?? null,
    references: {
      parent: likenessesDocument(references.parent),
      no_expand: references.no_expand && likenessesDocument(references.no_expand),
      random: references.random && likenessesDocument(references.random),
    },
    crossings: { half: crossing(halves), scratch_nearer: crossing(nearer) },
  };
}

/** Where the difference of two curves, by tokens, first falls below 0; null where it never does. */
export function crossing(
  points: readonly { readonly tokens: number; readonly difference: number }[],
): Crossing | null {
  const at = points.findIndex(({ difference }) => difference < 0);
  if (at < 0) return null;
  const { tokens: by, difference: below } = points[at];
  if (at === 0) return { after: null, by, tokens: by };
  const { tokens: after, difference: above } = points[at - 1];
  return { after, by, tokens: after + ((by - after) * above) / (above - below) };
}

/** The from-scratch model after as many tokens: the nearest checkpoint. */
function atTokens(scratch: readonly ScratchMeasure[], tokens: number): Sample {
  const distance = (point: ScratchMeasure): number => Math.abs(point.total_tokens - tokens);
  return scratch.reduce((best, point) => (distance(point) < distance(best) ? point : best))
    .to_parent.mean;
}

/** Null where the denominator is not solid. */
function correctedOf(child: Sample, scratch: Sample, parent: Sample): Sample | null {
  if (!isSolid(combine([parent, scratch], (p, s) => p - s))) return null;
  return combine([child, scratch, parent], (c, s, p) => (c - s) / (p - s));
}

function likenessesDocument({ to_parent, to_scratch }: Likenesses): LikenessesDocument {
  return {
    to_parent: likenessDocument(to_parent),
    to_scratch: to_scratch && likenessDocument(to_scratch),
  };
}
