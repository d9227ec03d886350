/**
 * @file Composable function-preserving transformations (Gesmundo & Maile 2023, arXiv 2308.06103): nothing is copied.
 * The stream gets zeros, E = [I ; 0], whatever D; gains √(d/D) and, beyond the paper, whose norms have no epsilon,
 * eps' = eps · d/D keep the root mean square. New heads and neurons read at random and write nothing. Exact under
 * RMSNorm. Under LayerNorm zeros shift the mean, so that only heads and neurons can grow. Zero columns of a tied
 * embedding add nothing to the logits, so that the final norm has nothing to take back.
 */
import { FRESH } from "../plan/axis-map.ts";
import { firstUnits } from "../plan/fan-out.ts";
import { selectionMap } from "./selected-stream.ts";
import type { WidthMethod } from "./width-growth.ts";

/** Zero-padded growth: one copy of everything, whatever the size. */
export const gesmundoMaile: WidthMethod = {
  wholeMultiples: false,
  norms: ["rms"],
  epsFactor: (d, D) => d / D,
  whyInexact: () => null,
  stream(d, D) {
    const source = Int32Array.from({ length: D }, (_, i) => (i < d ? i : FRESH));
    const axis = { source, weight: null };
    const map = D === d ? null : selectionMap(axis, d);
    return {
      read: axis,
      write: axis,
      norm: axis,
      finalNorm: axis,
      gainFactor: Math.sqrt(d / D),
      residual: map,
      normed: map,
      final: map,
    };
  },
  units: firstUnits,
};
