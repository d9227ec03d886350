// Unstable latents, that fresh seeds of the parent's own SAE rarely find again, can still live in a
// subspace that persists (Unstable Features, Reproducible Subspaces: arXiv 2606.12138). For each of
// them: the span of its mapped direction and those of the unstable latents that fire most with it in
// the parent, against the span of as many latents of the child, the ones that correlate best with
// any of them. Overlap = mean cos² of the principal angles = ‖Q_Aᵀ Q_B‖²_F / rank. Its null: the same
// spans against as many random directions with the mean and covariance of the child's decoder.
import type { Rng } from "../../src/engine/index.ts";
import { correlationMatches, type Matches } from "./correlation.ts";
import type { Directions } from "./cosine.ts";
import { drawLike } from "./direction-null.ts";
import type { Side } from "./function-matches.ts";
import { quantile } from "./quantile.ts";

/** Overlaps of unstable latents. */
export interface SubspaceOverlap {
  /** NaN where a latent is stable, or fires with too few unstable ones. */
  readonly overlap: Float64Array; // [nParent]
  /** 99th percentile of the null; NaN where nothing was measured. */
  readonly null99: number;
}

/** Options of {@link subspaceOverlap}. */
export interface SubspaceOptions {
  /** Latents of a span, at most. */
  readonly size?: number;
  readonly draws?: number;
}

// Of those that fire most with a latent, how many are looked through for unstable ones; the least
// correlation that counts; and how many child latents each member of a span proposes.
const neighbours = 32;
const leastCorrelation = 0.1;
const proposals = 4;

/** Measures the latents with unstable[i] = 1. `mapped` [nParent, D], `decoder` [nChild, D]. */
export function subspaceOverlap(
  parent: Side,
  child: Pick<Side, "codes" | "firings">,
  unstable: Uint8Array,
  mapped: Directions,
  decoder: Directions,
  rng: Rng,
  { size = 8, draws = 200 }: SubspaceOptions = {},
): SubspaceOverlap {
  const overlap = new Float64Array(unstable.length).fill(Number.NaN);
  if (!unstable.includes(1)) return { overlap, null99: Number.NaN };
  const among = correlationMatches(parent.firings, parent.firings, parent.codes, {
    top: neighbours,
  });
  const across = correlationMatches(parent.firings, child.firings, child.codes, {
    top: proposals,
  });
  const spans: { readonly basis: Float64Array[]; readonly size: number }[] = [];
  for (let i = 0; i < unstable.length; i++) {
    if (unstable[i] === 0) continue;
    const members = [i, ...companions(among, i, unstable)].slice(0, size);
    const found = bestChildren(across, members);
    if (members.length < 2 || found.length < members.length) continue;
    const basis = basisOf(mapped, members);
    spans.push({ basis, size: members.length });
    overlap[i] = meanSquaredCosine(basis, basisOf(decoder, found));
  }
  if (spans.length === 0) return { overlap, null99: Number.NaN };
  const random = drawLike(decoder, rng.fork("directions"));
  const pick = rng.fork("spans");
  const nulls = Float64Array.from({ length: draws }, () => {
    const span = spans[pick.int(spans.length)];
    const rows = Array.from({ length: span.size }, () => pick.int(random.n));
    return meanSquaredCosine(span.basis, basisOf(random, rows));
  });
  return { overlap, null99: quantile(nulls, 0.99) };
}

function companions(
  { child, correlation, top }: Matches,
  i: number,
  unstable: Uint8Array,
): number[] {
  const all: number[] = [];
  for (let m = i * top; m < (i + 1) * top && correlation[m] >= leastCorrelation; m++) {
    if (child[m] !== i && unstable[child[m]] === 1) all.push(child[m]);
  }
  return all;
}

/** As many distinct child latents as there are members, best correlation first. */
function bestChildren({ child, correlation, top }: Matches, members: readonly number[]): number[] {
  const best = new Map<number, number>();
  for (const i of members) {
    for (let m = i * top; m < (i + 1) * top; m++) {
      if (correlation[m] > (best.get(child[m]) ?? 0)) best.set(child[m], correlation[m]);
    }
  }
  return [...best]
    .sort(([a, ra], [b, rb]) => rb - ra || a - b)
    .slice(0, members.length)
    .map(([j]) => j);
}

/** An orthonormal basis of the chosen rows (modified Gram–Schmidt); rows inside the span so far add nothing. */
export function basisOf({ rows, width }: Directions, chosen: readonly number[]): Float64Array[] {
  const basis: Float64Array[] = [];
  for (const i of chosen) {
    const v = rows.slice(i * width, (i + 1) * width);
    for (const e of basis) {
      const along = dot(e, v);
      for (let a = 0; a < width; a++) v[a] -= along * e[a];
    }
    const length = Math.sqrt(dot(v, v));
    if (length > 1e-6) basis.push(v.map((x) => x / length));
  }
  return basis;
}

/** Mean cos² of the principal angles between two spans, over the rank of the first; NaN where that is 0. */
export function meanSquaredCosine(a: readonly Float64Array[], b: readonly Float64Array[]): number {
  let sum = 0;
  for (const u of a) for (const v of b) sum += dot(u, v) ** 2;
  return sum / a.length;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let s = 0; s < a.length; s++) sum += a[s] * b[s];
  return sum;
}
