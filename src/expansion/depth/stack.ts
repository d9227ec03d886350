/**
 * @file Depth growth by stacking (G_stack, arXiv 2405.15319; StackBERT, Gong et al. 2019, is its doubling): the whole
 * stack again and again, layer i of the child a copy of the parent's layer i mod n. A target that is no multiple of n
 * ends in the middle of the stack. Not exact: only the first n layers do what the parent does.
 */
import type { ChildLayer } from "./child-layer.ts";

/** The child's layers from first to last. */
export function stackDepth(nParent: number, nChild: number): readonly ChildLayer[] {
  return Array.from({ length: nChild }, (_, i) => ({ source: i % nParent, inserted: false }));
}
