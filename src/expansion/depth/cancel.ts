/**
 * @file LEMON's identity blocks whose outputs cancel (Wang et al., ICLR 2024, arXiv 2310.07999): where a head or
 * neuron has copies, their output weights are random and sum to zero. Equal copies then add nothing, and every weight
 * that belongs to them has a gradient at once, where blocks with zero outputs give the rest of the block none in the
 * first step. A head or neuron without a copy keeps zero output weights.
 */
import { UsageError } from "../../io/index.ts";
import { copyGroups } from "../plan/axis-map.ts";
import type { FanOut } from "../plan/fan-out.ts";
import type { ChildLayer } from "./child-layer.ts";
import { identityDepth, type Positions } from "./identity.ts";

/** The child's layers from first to last: as `identity` places them. Errors: UsageError as there. */
export function cancelDepth(
  nParent: number,
  nChild: number,
  positions: Positions,
): readonly ChildLayer[] {
  return identityDepth(nParent, nChild, positions, "cancelling");
}

/** Errors: UsageError when no head or no neuron has a copy, so that nothing can cancel. */
export function requireCopies(units: { readonly heads: FanOut; readonly neurons: FanOut }): void {
  for (const kind of ["heads", "neurons"] as const) {
    if (copyGroups(units[kind].source).length > 0) continue;
    throw new UsageError({
      code: "nothing-to-cancel",
      where: "--depth-method",
      expected: `a growth that also copies ${kind}: cancel lets copies cancel one another`,
      got: `cancel, without copies of ${kind}`,
      hint: "Grow --heads (or --width) and --mlp in the same step, by a method that copies, or use --depth-method identity.",
    });
  }
}
