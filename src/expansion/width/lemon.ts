/**
 * @file LEMON's width growth (Wang et al., ICLR 2024, arXiv 2310.07999), exact at any
 * D ≥ d. With q = ⌊D/d⌋, r = D − qd the residual stream becomes q copies of itself and r times its
 * mean, E = [I × q ; r rows of (1/d)·1ᵀ]: the mean is kept, the variance becomes qd/D of the old
 * one, and the last r coordinates are zero once normalised. For RMSNorm the last r rows of E are zero,
 * and so is the rest of what follows. Both need eps' = eps · qd/D.
 */

import type { DenseMap } from "../map/vector-map.ts";
import { type AxisMap, FRESH, identityAxis, MEAN } from "../plan/axis-map.ts";
import { circularFanOut } from "../plan/fan-out.ts";
import { selectionMap } from "./selected-stream.ts";
import type { StreamOptions, WidthGrowth, WidthMethod } from "./width-growth.ts";

/** LEMON: exact at any size; heads and neurons are copied circularly, with uneven shares. */
export const lemon: WidthMethod = {
  wholeMultiples: false,
  norms: ["layer", "rms"],
  epsFactor: (d, D) => (Math.floor(D / d) * d) / D,
  whyInexact: () => null,
  stream: lemonStream,
  units: circularFanOut,
};

function lemonStream(d: number, D: number, { norm, tied }: StreamOptions): WidthGrowth {
  const q = Math.floor(D / d);
  const r = D - q * d;
  if (q < 1) throw new Error(`internal: lemon can't narrow ${d} to ${D}`);
  const axis = (rest: number, weight: number): AxisMap => ({
    source: Int32Array.from({ length: D }, (_, i) => (i < q * d ? i % d : rest)),
    weight: weight === 1 ? null : new Float64Array(D).fill(weight),
  });
  const finalNorm = axis(FRESH, tied ? 1 / q : 1);
  return {
    read: r === 0 && q === 1 ? identityAxis(d) : axis(FRESH, 1 / q),
    write: axis(norm === "layer" ? MEAN : FRESH, 1),
    norm: axis(FRESH, 1),
    finalNorm,
    gainFactor: Math.sqrt(lemon.epsFactor(d, D)),
    residual:
      D === d ? null : norm === "layer" ? averageExpansion(d, D) : selectionMap(axis(FRESH, 1), d),
    normed: D === d ? null : selectionMap(axis(FRESH, 1), d),
    final: D === d ? null : selectionMap(finalNorm, d),
  };
}

/**
 * E = [I × q ; r rows of (1/d)·1ᵀ] and its Moore–Penrose inverse. EᵀE = qI + (r/d²)·11ᵀ, so by
 * Sherman and Morrison R = (1/q)(I − c·11ᵀ)Eᵀ with c = r / (d(qd + r)).
 */
export function averageExpansion(d: number, D: number): DenseMap {
  const q = Math.floor(D / d);
  const r = D - q * d;
  const c = r / (d * (q * d + r));
  const E = new Float64Array(D * d); // [D, d]
  const R = new Float64Array(d * D); // [d, D]
  for (let row = 0; row < D; row++) {
    for (let i = 0; i < d; i++) {
      const copied = row < q * d;
      const same = row % d === i ? 1 : 0;
      E[row * d + i] = copied ? same : 1 / d;
      R[i * D + row] = (copied ? same - c : (1 - c * d) / d) / q;
    }
  }
  return { E, R, d, D };
}
