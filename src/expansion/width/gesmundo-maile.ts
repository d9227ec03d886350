/**
 * @file Composable function-preserving transformations (Gesmundo & Maile 2023, arXiv 2308.06103): nothing is copied.
 * The stream gets zeros, E = [I ; 0], whatever D; gains √(d/D) and, beyond the paper, whose norms have no epsilon,
 * eps' = eps · d/D keep the root mean square. New heads and neurons read at random and write nothing. Exact under
 * RMSNorm. Under LayerNorm zeros shift the mean, so that only heads and neurons can grow. Zero columns of a tied
 * embedding add nothing to the logits, so that the final norm has nothing to take back.
 */
import { FRESH } from "../plan/axis-map.ts";
import { selectionMap } from "./selected-stream.ts";
import type { WidthMethod } from "./width-growth.ts";

const padded = (n: number, N: number, rest: number): Int32Array =>
  Int32Array.from({ length: N }, (_, i) => (i < n ? i : rest));

/** Zero-padded growth: one copy of everything, whatever the size. */
export const gesmundoMaile: WidthMethod = {
  wholeMultiples: false,
  norms: ["rms"],
  epsFactor: (d, D) => d / D,
  whyInexact: () => null,
  stream(d, D) {
    const axis = { source: padded(d, D, FRESH), weight: null };
    const map = D === d ? null : selectionMap(axis, d);
    return {
      read: axis,
      write: axis,
      norm: axis,
      finalNorm: axis,
      gainFactor: Math.sqrt(d / D),
      residual: map,
      final: map,
    };
  },
  units: (n, N) => ({
    source: padded(n, N, -1),
    alpha: Float64Array.from({ length: N }, (_, i) => (i < n ? 1 : 0)),
  }),
};
