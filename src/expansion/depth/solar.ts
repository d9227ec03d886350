/**
 * @file SOLAR's depth up-scaling (arXiv 2312.15166): the stack without its last m layers, then the stack without its
 * first m: layers[0 : n − m] ++ layers[m : n], 2(n − m) in all. Not exact: only the first n − m layers do what the
 * parent does.
 */
import { UsageError } from "../../io/index.ts";
import type { ChildLayer } from "./child-layer.ts";

/**
 * The child's layers from first to last; m follows from the number of layers. Errors: UsageError when that number is
 * odd or above twice the parent's.
 */
export function solarDepth(nParent: number, nChild: number): readonly ChildLayer[] {
  if (nChild % 2 !== 0 || nChild > 2 * nParent) {
    const near = [nChild - 1, nChild + 1].filter(
      (n) => n % 2 === 0 && n > nParent && n <= 2 * nParent,
    );
    throw new UsageError({
      code: "solar-layers",
      where: "--layers",
      expected: `an even number up to ${2 * nParent}: solar puts two parts of the stack of equal length on one another`,
      got: String(nChild),
      hint:
        near.length > 0
          ? `Possible is ${near.join(" or ")}.`
          : `In one step ${nParent} layers grow to at most ${2 * nParent}.`,
    });
  }
  const half = nChild / 2;
  return Array.from({ length: nChild }, (_, i) => ({
    source: i < half ? i : i - half + (nParent - half),
    inserted: false,
  }));
}
