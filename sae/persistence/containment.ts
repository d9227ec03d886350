// How two latents overlap, token by token. A firing is *strong* when it is above half of that
// latent's own 99th percentile, taken over its firing values (silent tokens left out).
//   strong containment i→j  of the tokens where i fires strongly, the share where j fires at all
//   Jaccard                 |fires_i ∩ fires_j| / |fires_i ∪ fires_j|
//   weighted Jaccard        Σ min(â, b̂) / Σ max(â, b̂), â = a over its own 99.9th percentile
// Plain containment is not used: weak firings flicker, and only 36% of latents pass it both ways
// even on an unchanged model (methods.md §5). Weighted Jaccard as in SAE-Track (arXiv 2412.17626).
import { pearson } from "./correlation.ts";
import { type Firings, firingQuantiles } from "./firings.ts";

/** Firings with the levels the overlap measures need. */
export interface LevelledFirings extends Firings {
  /** Above this a firing is strong: half of the 99th percentile of the firing values. */
  readonly strongAbove: Float64Array; // [nLatents]
  /** The 99.9th percentile of the firing values: the unit of the weighted Jaccard. */
  readonly unit: Float64Array; // [nLatents]
}

/** The overlap of one pair. NaN where a side never fires. */
export interface PairOverlap {
  readonly correlation: number;
  /** Parent → child. */
  readonly containPc: number;
  /** Child → parent. */
  readonly containCp: number;
  readonly jaccard: number;
  readonly wjaccard: number;
}

/** Adds the levels to firings. */
export function withLevels(firings: Firings): LevelledFirings {
  const [p99, unit] = firingQuantiles(firings, [0.99, 0.999]);
  return { ...firings, strongAbove: p99.map((level) => level / 2), unit };
}

/** All overlap measures of parent latent i and child latent j on the same rows, in one merge of their firings. */
export function pairOverlap(
  parent: LevelledFirings,
  i: number,
  child: LevelledFirings,
  j: number,
): PairOverlap {
  let both = 0;
  let sumXY = 0;
  let strongP = 0;
  let strongPHit = 0;
  let strongC = 0;
  let strongCHit = 0;
  let least = 0;
  let most = 0;
  const [levelP, levelC] = [parent.strongAbove[i], child.strongAbove[j]];
  const [unitP, unitC] = [parent.unit[i], child.unit[j]];
  let p = parent.start[i];
  let c = child.start[j];
  const endP = parent.start[i + 1];
  const endC = child.start[j + 1];
  const firings = endP - p + (endC - c);
  while (p < endP || c < endC) {
    const tokenP = p < endP ? parent.token[p] : Infinity;
    const tokenC = c < endC ? child.token[c] : Infinity;
    const x = tokenP <= tokenC ? parent.value[p++] : 0;
    const y = tokenC <= tokenP ? child.value[c++] : 0;
    const together = tokenP === tokenC;
    if (together) {
      both++;
      sumXY += x * y;
    }
    if (x > levelP) {
      strongP++;
      if (together) strongPHit++;
    }
    if (y > levelC) {
      strongC++;
      if (together) strongCHit++;
    }
    const a = x === 0 ? 0 : x / unitP;
    const b = y === 0 ? 0 : y / unitC;
    least += Math.min(a, b);
    most += Math.max(a, b);
  }
  return {
    correlation: pearson(sumXY, parent, i, child, j),
    containPc: strongPHit / strongP,
    containCp: strongCHit / strongC,
    jaccard: both / (firings - both),
    wjaccard: least / most,
  };
}
