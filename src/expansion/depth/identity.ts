/**
 * @file Depth growth by identity blocks (LLaMA Pro, arXiv 2401.02415; LEMON): a copy of a block
 * whose attention and MLP output matrices and biases are zero adds nothing to the stream, yet gets
 * gradients at once. Exact for any norm. The norms are copied, never zeroed: a zeroed norm has no
 * gradient in models without biases.
 */
import { UsageError } from "../../io/index.ts";
import type { ChildLayer, Silence } from "./child-layer.ts";

/** Where identity blocks go; a list names the parent's layers after which one is inserted, −1 = before the first. */
export type Positions = "interleaved" | "top" | "bottom" | readonly number[];

/**
 * The child's layers from first to last. `interleaved` spreads the new blocks evenly, the last one
 * on top (LLaMA Pro's order where the counts divide); `top` puts all after the last layer,
 * `bottom` all before the first. Each copies the layer right below it, or the first at the bottom.
 * `silence` says how the new blocks add nothing.
 * Errors: UsageError when a list has the wrong length or names a layer that isn't there.
 */
export function identityDepth(
  nParent: number,
  nChild: number,
  positions: Positions,
  silence: Silence = "zero",
): readonly ChildLayer[] {
  const added = nChild - nParent;
  const after = insertionPoints(nParent, added, positions);
  const layers: ChildLayer[] = [];
  for (let layer = -1; layer < nParent; layer++) {
    if (layer >= 0) layers.push({ source: layer, inserted: false });
    for (const point of after) {
      if (point === layer) layers.push({ source: Math.max(layer, 0), inserted: silence });
    }
  }
  return layers;
}

function insertionPoints(nParent: number, added: number, positions: Positions): readonly number[] {
  const each = (point: (i: number) => number) => Array.from({ length: added }, (_, i) => point(i));
  if (positions === "interleaved") {
    return each((i) => Math.ceil(((i + 1) * nParent) / added) - 1);
  }
  if (positions === "top") return each(() => nParent - 1);
  if (positions === "bottom") return each(() => -1);
  const where = "--positions";
  if (positions.length !== added) {
    throw new UsageError({
      code: "positions-count",
      where,
      expected: `${added} positions, one for each layer added`,
      got: `${positions.length}`,
    });
  }
  for (const point of positions) {
    if (!Number.isInteger(point) || point < -1 || point >= nParent) {
      throw new UsageError({
        code: "positions-range",
        where,
        expected: `layers of the parent from 0 to ${nParent - 1}, or -1 for below the first`,
        got: String(point),
      });
    }
  }
  return positions;
}
