/** @file The table of depth methods: to add one, write its file, its name in `DepthMethodName`, and its line here. */
import { UsageError } from "../../io/index.ts";
import { cancelDepth } from "./cancel.ts";
import type { ChildLayer, DepthMethodName } from "./child-layer.ts";
import { identityDepth, type Positions } from "./identity.ts";
import { solarDepth } from "./solar.ts";
import { stackDepth } from "./stack.ts";

/** A way to deepen a model: the child's layers, from the parent's number of them, the child's and where new ones go. */
export type DepthMethod = (
  nParent: number,
  nChild: number,
  positions: Positions,
) => readonly ChildLayer[];

/** Every depth method by its name. */
export const depthMethods: Readonly<Record<DepthMethodName, DepthMethod>> = {
  identity: identityDepth,
  stack: stackDepth,
  solar: solarDepth,
  cancel: cancelDepth,
};

/** Whether a text names a depth method. */
export function isDepthMethod(name: string): name is DepthMethodName {
  return Object.hasOwn(depthMethods, name);
}

/**
 * The child's layers from first to last; the parent's own where their number stays. Errors: UsageError for positions
 * that the method can't take or that don't fit, and for a number of layers that it can't reach.
 */
export function childLayers(
  method: DepthMethodName,
  nParent: number,
  nChild: number,
  positions: Positions,
): readonly ChildLayer[] {
  const places = method === "identity" || method === "cancel";
  if (!places && positions !== "interleaved") {
    throw new UsageError({
      code: "positions-unused",
      where: "--positions",
      expected: `none with ${method}, which says itself where layers go`,
      got: String(positions),
    });
  }
  if (nChild === nParent) return identityDepth(nParent, nChild, positions);
  return depthMethods[method](nParent, nChild, positions);
}
