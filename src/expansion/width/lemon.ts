/**
 * @file LEMON's width growth (Wang et al., ICLR 2024, arXiv 2310.07999), exact at any
 * D ≥ d. With q = ⌊D/d⌋, r = D − qd the residual stream becomes q copies of itself and r times its
 * mean, E = [I × q ; r rows of (1/d)·1ᵀ]: the mean is kept, the variance becomes qd/D of the old
 * one, and the last r coordinates are zero once normalised. For RMSNorm the last r rows of E are zero,
 * and so is the rest of what follows. Both need eps' = eps · qd/D.
 */

import type { DenseMap } from "../map/vector-map.ts";
import { type AxisMap, FRESH, identityAxis, MEAN } from "../plan/axis-map.ts";

/** What a width method says about the residual stream; everything a plan for any parameter needs. */
export interface WidthGrowth {
  /** Input axis of matrices that read the normalised stream: the copies of a column sum to it. */
  readonly read: AxisMap;
  /** Output axis of whatever writes into the stream: left multiplication by E. */
  readonly write: AxisMap;
  /** Axis of a norm's gain and bias. */
  readonly norm: AxisMap;
  /** Factor on a norm's gain; fresh gains are this factor itself, never zero. */
  readonly gainFactor: number;
  /** Factor on the norms' epsilon. */
  readonly epsFactor: number;
  /**
   * Further factor on the final norm's gain and bias: with tied embeddings the logits would
   * otherwise be multiplied by the number of copies.
   */
  readonly finalFactor: number;
  /** E and R of the residual stream; null where the width does not change. */
  readonly residual: DenseMap | null;
  /** E and R of the final norm's output, which is 1/q of the copies and 0 in the free coordinates. */
  readonly final: DenseMap | null;
}

/** What of a model LEMON's growth depends on besides its width. */
export interface LemonOptions {
  /** The norm that reads the stream: with its mean taken off, or not. Default layer. */
  readonly norm?: "layer" | "rms";
  /** Whether the unembedding is the embedding. Default true. */
  readonly tied?: boolean;
}

/** LEMON from width d to width D. */
export function lemonWidth(
  d: number,
  D: number,
  { norm = "layer", tied = true }: LemonOptions = {},
): WidthGrowth {
  const q = Math.floor(D / d);
  const r = D - q * d;
  if (q < 1) throw new Error(`internal: lemon can't narrow ${d} to ${D}`);
  const axis = (rest: number, weight: number): AxisMap => ({
    source: Int32Array.from({ length: D }, (_, i) => (i < q * d ? i % d : rest)),
    weight: weight === 1 ? null : new Float64Array(D).fill(weight),
  });
  const variance = (q * d) / D;
  const finalFactor = tied ? 1 / q : 1;
  return {
    read: r === 0 && q === 1 ? identityAxis(d) : axis(FRESH, 1 / q),
    write: axis(norm === "layer" ? MEAN : FRESH, 1),
    norm: axis(FRESH, 1),
    gainFactor: Math.sqrt(variance),
    epsFactor: variance,
    finalFactor,
    residual: D === d ? null : norm === "layer" ? averageExpansion(d, D) : zeroExpansion(d, D, 1),
    final: D === d ? null : zeroExpansion(d, D, finalFactor),
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

/** E = factor · [I × q ; 0] and its Moore–Penrose inverse [I × q, 0] / (q · factor). */
export function zeroExpansion(d: number, D: number, factor: number): DenseMap {
  const q = Math.floor(D / d);
  const E = new Float64Array(D * d); // [D, d]
  const R = new Float64Array(d * D); // [d, D]
  for (let row = 0; row < q * d; row++) {
    E[row * d + (row % d)] = factor;
    R[(row % d) * D + row] = 1 / (q * factor);
  }
  return { E, R, d, D };
}
