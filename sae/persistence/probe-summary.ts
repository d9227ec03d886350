/**
 * @file The probes of the parent's latents, summed up by what they read from: the parent, the trained child, the part
 * of the child that lies in the subspace it inherited (its activations through the map's inverse R, as wide as the
 * parent's), a from-scratch model and random weights. Readability is a witness and never the headline: what a probe
 * reads from a from-scratch model as well says nothing of inheritance.
 */
import type { Frame } from "./input.ts";
import { type ProbeSums, probeScores } from "./probe.ts";
import { quantile } from "./quantile.ts";
import type { ProbeEvidence } from "./verdicts.ts";

/** Held-out R² of the probes of each parent latent; null where not measured. */
export interface ParentProbes {
  /** `own` from the parent, `other` from the child, `random` from random weights. */
  readonly parent: readonly ProbeEvidence[]; // [nParent]
  readonly inherited: Float64Array | null; // [nParent]
  readonly scratch: Float64Array | null; // [nParent]
}

/** What probes read from one model. */
export interface ProbeSource {
  /** Median R² over the latents that can be read from the parent. */
  readonly r2: number;
  /** Share of those whose R² is at least the witness's share, .8, of that from the parent. */
  readonly read: number;
}

/** probes of persistence.json. */
export interface ProbesDocument {
  /** Eligible latents that a probe reads from the parent itself, with an R² of at least the witness's margin, .1. */
  readonly latents: number;
  readonly parent: ProbeSource;
  readonly child: ProbeSource;
  /** From what of the child lies in the inherited subspace; null without a map, and where the child is no wider. */
  readonly inherited: ProbeSource | null;
  readonly scratch: ProbeSource | null;
  readonly random: ProbeSource | null;
}

/**
 * R² of the probes of targets[0] on the activations x through R [d, D], from the sums over x alone: those over R x
 * follow by linearity. `frame` gives the rows of R as Rᵀ applied to the parent's axes.
 */
export function inheritedScores(
  sums: ProbeSums,
  frame: Frame,
  d: number,
  ridge: number,
): Float64Array | null {
  if (frame.encoder === null) return null;
  const D = sums.dIn;
  const axes = new Float32Array(d * d);
  for (let i = 0; i < d; i++) axes[i * d + i] = 1;
  const R = frame.encoder(axes); // [d, D]
  const [a, b] = sums.halves.map(({ rows, sum, gram, targets: [target] }) => ({
    rows,
    sum: through(R, sum, 1, d, D),
    gram: sandwich(R, gram, d, D),
    targets: [{ ...target, cross: through(R, target.cross, target.sum.length, d, D) }],
  }));
  return probeScores({ dIn: d, halves: [a, b] }, 0, ridge);
}

/** Sums the probes up over the eligible latents; null where none can be read from the parent. */
export function probesDocument(
  { parent, inherited, scratch }: ParentProbes,
  eligible: Uint8Array,
  { margin, share }: { readonly margin: number; readonly share: number },
): ProbesDocument | null {
  const latents = Array.from(eligible.keys()).filter(
    (i) => eligible[i] === 1 && parent[i].own >= margin,
  );
  if (latents.length === 0) return null;
  const source = (r2: (i: number) => number): ProbeSource | null => {
    const scores = latents.map(r2);
    if (scores.some(Number.isNaN)) return null;
    const read = latents.filter((i) => r2(i) >= share * parent[i].own).length;
    return { r2: quantile(scores, 0.5), read: read / latents.length };
  };
  const child = source((i) => parent[i].other);
  const own = source((i) => parent[i].own);
  if (child === null || own === null) return null;
  return {
    latents: latents.length,
    parent: own,
    child,
    inherited: inherited && source((i) => inherited[i]),
    scratch: scratch && source((i) => scratch[i]),
    random: source((i) => parent[i].random),
  };
}

/** Rows of X [n, D] through R [d, D]: X Rᵀ [n, d]. */
function through(R: Float32Array, X: Float64Array, n: number, d: number, D: number): Float64Array {
  const out = new Float64Array(n * d);
  for (let row = 0; row < n; row++) {
    for (let i = 0; i < d; i++) {
      let total = 0;
      for (let j = 0; j < D; j++) total += X[row * D + j] * R[i * D + j];
      out[row * d + i] = total;
    }
  }
  return out;
}

/** R G Rᵀ [d, d] of a symmetric G [D, D]. */
function sandwich(R: Float32Array, G: Float64Array, d: number, D: number): Float64Array {
  const right = through(R, G, D, d, D); // G Rᵀ [D, d]
  const out = new Float64Array(d * d);
  for (let i = 0; i < d; i++) {
    for (let j = 0; j < D; j++) {
      const weight = R[i * D + j];
      for (let k = 0; k < d; k++) out[i * d + k] += weight * right[j * d + k];
    }
  }
  return out;
}
