// The parts of a latent: up to four latents of another dictionary that share its work (methods.md §4:
// split; with the sides exchanged, merged). A part lies mostly inside the whole: of the tokens where
// the part fires strongly, the whole fires on at least .7. Greedy: the part of highest correlation
// first, then whichever raises the R² of the non-negative fit  whole ≈ Σ w_j part_j (with intercept)
// most, as long as it covers at least .1 more of the whole's strong firings. Greedy search overfits,
// so the gain is held against the same search on shuffled wholes (part-null.ts).
import type { SparseCodes } from "../sae.ts";
import type { LevelledFirings } from "./containment.ts";
import { pearson } from "./correlation.ts";
import { firingCount } from "./firings.ts";
import { nonNegativeLeastSquares } from "./nnls.ts";

/** What parts must satisfy. */
export interface PartRule {
  readonly minFirings: number;
  /** Strong containment of a part in the whole. */
  readonly containment: number;
  /** Share of the whole's strong firings that its parts cover together. */
  readonly coverage: number;
  /** Share of them that each part must add to those before it. */
  readonly partShare: number;
  readonly mostParts: number;
}

/** A set of at least two parts. */
export interface PartSet {
  /** Best correlation first. */
  readonly members: readonly number[];
  /** R² of the non-negative fit, and by how much it exceeds that of the best single latent. */
  readonly r2: number;
  readonly gain: number;
  /** Share of the whole's strong firings on which some part fires. */
  readonly coverage: number;
}

/** A dictionary in which parts are looked for. */
export interface PartPool {
  readonly codes: SparseCodes;
  readonly firings: LevelledFirings;
  /** The strong firings alone, by token. */
  readonly strongStart: Int32Array; // [nTokens + 1]
  readonly strongLatent: Int32Array;
  readonly strongTotal: Int32Array; // [nLatents]
}

/** How one whole is searched for. */
export interface PartQuery {
  readonly whole: LevelledFirings;
  readonly latent: number;
  /** Whether a latent of the pool may be a part. */
  readonly allowed: (part: number) => boolean;
  /** Highest correlation of the whole with any latent of the pool; by default with any candidate. */
  readonly best?: number;
  /** A part that must be among them and is taken first. */
  readonly first?: number;
  /** Moves the whole's firings on by that many tokens, circularly: for the null. */
  readonly shift?: number;
}

// Candidates that the greedy search looks at, the best by correlation.
const mostCandidates = 32;

/** Prepares a dictionary for {@link partFinder}. */
export function partPool(codes: SparseCodes, firings: LevelledFirings): PartPool {
  const { nTokens, dSae, rowStart, latent, value } = codes;
  const { strongAbove } = firings;
  const strongStart = new Int32Array(nTokens + 1);
  const strongTotal = new Int32Array(dSae);
  for (let t = 0; t < nTokens; t++) {
    strongStart[t + 1] = strongStart[t];
    for (let s = rowStart[t]; s < rowStart[t + 1]; s++) {
      if (!(value[s] > strongAbove[latent[s]])) continue;
      strongStart[t + 1]++;
      strongTotal[latent[s]]++;
    }
  }
  const strongLatent = new Int32Array(strongStart[nTokens]);
  let at = 0;
  for (let s = 0; s < rowStart[nTokens]; s++) {
    if (value[s] > strongAbove[latent[s]]) strongLatent[at++] = latent[s];
  }
  return { codes, firings, strongStart, strongLatent, strongTotal };
}

/**
 * A search over one pool, with its working memory ([nLatents] twice): null where fewer than two parts
 * qualify or they leave more of the whole uncovered than the rule allows. Whether the gain is enough
 * is for the caller to say.
 */
export function partFinder(pool: PartPool, rule: PartRule): (query: PartQuery) => PartSet | null {
  const inside = new Int32Array(pool.firings.nLatents); // strong firings inside the whole
  const slot = new Int32Array(pool.firings.nLatents); // candidate number + 1
  return (query) => {
    const found = candidatesOf(pool, rule, query, inside);
    if (found.length < 2) return null;
    const candidates = overlaps(pool, query, found, slot);
    return greedySet(pool, rule, query, candidates);
  };
}

interface Candidate {
  readonly part: number;
  readonly correlation: number;
  /** Numbers of the whole's strong firings on which it fires. */
  readonly covers: readonly number[];
}

/** The parts that lie mostly inside the whole. `inside` is zero before and after. */
function candidatesOf(
  { firings, strongStart, strongLatent, strongTotal }: PartPool,
  { containment, minFirings }: PartRule,
  { whole, latent, allowed, shift = 0 }: PartQuery,
  inside: Int32Array,
): number[] {
  const touched: number[] = [];
  const { nTokens } = whole;
  for (let p = whole.start[latent]; p < whole.start[latent + 1]; p++) {
    let t = whole.token[p] + shift;
    if (t >= nTokens) t -= nTokens;
    for (let s = strongStart[t]; s < strongStart[t + 1]; s++) {
      if (inside[strongLatent[s]]++ === 0) touched.push(strongLatent[s]);
    }
  }
  const found: number[] = [];
  for (const part of touched) {
    const enough = inside[part] >= containment * strongTotal[part];
    inside[part] = 0;
    if (enough && firingCount(firings, part) >= minFirings && allowed(part)) found.push(part);
  }
  return found;
}

/** Correlation and coverage of each candidate; the best first, of equals the lower latent. `slot` is zero before and after. */
function overlaps(
  { codes, firings }: PartPool,
  { whole, latent, shift = 0, first = -1 }: PartQuery,
  found: readonly number[],
  slot: Int32Array,
): Candidate[] {
  const sums = new Float64Array(found.length);
  const covers: number[][] = found.map(() => []);
  for (const [c, part] of found.entries()) slot[part] = c + 1;
  const { rowStart, latent: parts, value } = codes;
  let strong = -1;
  for (let p = whole.start[latent]; p < whole.start[latent + 1]; p++) {
    let t = whole.token[p] + shift;
    if (t >= whole.nTokens) t -= whole.nTokens;
    const x = whole.value[p];
    const isStrong = x > whole.strongAbove[latent];
    if (isStrong) strong++;
    for (let s = rowStart[t]; s < rowStart[t + 1]; s++) {
      const c = slot[parts[s]] - 1;
      if (c < 0) continue;
      sums[c] += x * value[s];
      if (isStrong) covers[c].push(strong);
    }
  }
  for (const part of found) slot[part] = 0;
  const all = found.map((part, c) => ({
    part,
    correlation: pearson(sums[c], whole, latent, firings, part),
    covers: covers[c],
  }));
  all.sort(
    (a, b) =>
      Number(b.part === first) - Number(a.part === first) ||
      b.correlation - a.correlation ||
      a.part - b.part,
  );
  return all.filter(({ correlation }) => correlation > 0).slice(0, mostCandidates);
}

function greedySet(
  { firings }: PartPool,
  rule: PartRule,
  { whole, latent, best, first = -1 }: PartQuery,
  candidates: readonly Candidate[],
): PartSet | null {
  if (candidates.length < 2 || (first >= 0 && candidates[0].part !== first)) return null;
  const strong = strongCount(whole, latent);
  const covered = new Uint8Array(strong);
  const adds = ({ covers }: Candidate): number =>
    covers.reduce((sum, at) => sum + 1 - covered[at], 0);
  // Correlations among the parts, so that the fit has no scale: R² = Σ w_j r_j at its optimum.
  const among = new Map<string, number>();
  const between = (a: number, b: number): number => {
    const key = `${Math.min(a, b)} ${Math.max(a, b)}`;
    const known = among.get(key);
    if (known !== undefined) return known;
    const r = partCorrelation(firings, a, b);
    among.set(key, r);
    return r;
  };
  const fitted = (set: readonly Candidate[]): { weights: Float64Array; r2: number } => {
    const n = set.length;
    const gram = new Float64Array(n * n);
    for (let a = 0; a < n; a++) {
      for (let b = 0; b < n; b++) {
        gram[a * n + b] = a === b ? 1 : between(set[a].part, set[b].part);
      }
    }
    const cross = Float64Array.from(set, ({ correlation }) => correlation);
    const weights = nonNegativeLeastSquares(gram, cross, n);
    return { weights, r2: weights.reduce((sum, w, at) => sum + w * cross[at], 0) };
  };

  let chosen: Candidate[] = [];
  let reached = 0;
  while (chosen.length < rule.mostParts) {
    let next: Candidate | null = null;
    for (const candidate of candidates) {
      if (chosen.includes(candidate) || adds(candidate) < rule.partShare * strong) continue;
      const { r2 } = fitted([...chosen, candidate]);
      if (r2 > reached) {
        reached = r2;
        next = candidate;
      }
      if (chosen.length === 0) break; // the first is the best by correlation, or the one asked for
    }
    if (next === null) break;
    chosen = [...chosen, next];
    for (const at of next.covers) covered[at] = 1;
  }
  const { weights, r2 } = fitted(chosen);
  const members = chosen.filter((_, at) => weights[at] > 0);
  if (members.length < 2 || (first >= 0 && members[0].part !== first)) return null;
  const coverage = new Set(members.flatMap(({ covers }) => covers)).size / strong;
  if (!(coverage >= rule.coverage)) return null;
  const single = Math.max(best ?? 0, ...candidates.map(({ correlation }) => correlation));
  return {
    members: members.map(({ part }) => part),
    r2,
    gain: r2 - single * single,
    coverage,
  };
}

function strongCount({ start, value, strongAbove }: LevelledFirings, i: number): number {
  let count = 0;
  for (let p = start[i]; p < start[i + 1]; p++) if (value[p] > strongAbove[i]) count++;
  return count;
}

/** Pearson correlation of two latents of one dictionary, by one merge of their firings; 0 where one is constant. */
function partCorrelation(firings: LevelledFirings, a: number, b: number): number {
  const { start, token, value } = firings;
  let sum = 0;
  let [p, q] = [start[a], start[b]];
  while (p < start[a + 1] && q < start[b + 1]) {
    if (token[p] === token[q]) sum += value[p++] * value[q++];
    else if (token[p] < token[q]) p++;
    else q++;
  }
  const r = pearson(sum, firings, a, firings, b);
  return Number.isNaN(r) ? 0 : r;
}
