/**
 * @file How much of what an SAE sees in its own model it sees in another: the correlation of each latent's activations
 * on its own model with those read from the other, on the same tokens, latent by latent (there is nothing to match);
 * their mean over the latents that can be judged is the likeness. 1 = all as on the own model, 0 = nothing.
 */
import { type Rng, tf } from "../../src/engine/index.ts";
import {
  interval,
  type Resampling,
  resample,
  type Sample,
  sequenceBlocks,
} from "../persistence/bootstrap.ts";
import { type Estimate, estimate } from "../persistence/estimands.ts";
import { type Firings, firingsOf } from "../persistence/firings.ts";
import { prepareSide, type Side } from "../persistence/function-matches.ts";
import { persistenceDefaults } from "../persistence/input.ts";
import { finite } from "../reconstruction.ts";
import type { Sae, SparseCodes } from "../sae.ts";
import { type ModelRows, ownCodes, type Runs, readThroughFit, runsOf } from "./read-through-fit.ts";

/** A model with its SAE: what other models are held against. */
export interface LikenessReference {
  readonly sae: Sae;
  readonly rows: ModelRows;
  readonly runs: Runs;
  /** Its latents on its own model; those that fire often enough are judged. */
  readonly side: Side;
  readonly judged: number;
  readonly resampling: Resampling;
}

/** How rows are cut and resampled, and from how many firings on a latent is judged. */
export interface LikenessOptions {
  /** Rows of a sequence. */
  readonly sequenceLength: number;
  readonly minFirings: number;
  readonly replicates: number;
}

/** A likeness with its bootstrap replicates. */
export interface Likeness {
  /** Mean correlation over the judged latents; a latent that is silent in the other model counts 0. */
  readonly mean: Sample;
  /** Share of them with a correlation of at least the floor of matches, .5. */
  readonly share: number;
  /** Of the fitted map, where there was one; NaN without. */
  readonly r2: number;
}

/**
 * Prepares a reference. References of one comparison share the draws of sequences (`sharing`), so that differences
 * between them are paired. Redundant latents are drawn together.
 */
export async function likenessReference(
  sae: Sae,
  rows: ModelRows,
  rng: Rng,
  { sequenceLength, minFirings, replicates }: LikenessOptions,
  sharing?: LikenessReference,
): Promise<LikenessReference> {
  const { redundancy, blocks } = persistenceDefaults;
  const nTokens = rows.values.length / rows.width;
  const runs = runsOf(nTokens, sequenceLength);
  const codes = await ownCodes(sae, rows, runs);
  const side = prepareSide(codes, "codes of the reference", minFirings, redundancy);
  const sizes = Float64Array.from(side.groups.members, (members) => members.length);
  const drawn = sequenceBlocks(nTokens, sequenceLength, blocks);
  const resampling = {
    ...resample(drawn, sizes, replicates, rng),
    ...(sharing && { blockDraws: sharing.resampling.blockDraws }),
  };
  const judged = sizes.reduce((sum, size) => sum + size, 0);
  return { sae, rows, runs, side, judged, resampling };
}

/** The likeness of another model, read through a fitted map. */
export async function likenessTo(
  reference: LikenessReference,
  other: ModelRows,
): Promise<Likeness> {
  const { sae, rows, runs } = reference;
  const { codes, r2 } = await readThroughFit(sae, rows, other, runs);
  return { ...(await likenessOfCodes(reference, codes)), r2 };
}

/** The likeness of codes whose latents are the reference's, by index; more may follow. */
export async function likenessOfCodes(
  { side, resampling, judged }: LikenessReference,
  codes: SparseCodes,
): Promise<Likeness> {
  const firings = firingsOf(codes, "codes read from another model");
  const { replicates, groupDraws } = resampling;
  const { nGroups, of } = side.groups;
  const latents = Array.from(of.keys()).filter((i) => of[i] >= 0);
  const totals = new Float64Array(replicates);
  const drawn = new Float64Array(replicates);
  let [sum, above] = [0, 0];
  for (let from = 0; from < latents.length; from += latentsAtOnce) {
    const some = latents.slice(from, from + latentsAtOnce);
    const { whole, resampled } = await sameLatents(side.firings, firings, some, resampling);
    for (const [at, i] of some.entries()) {
      sum += whole[at];
      if (whole[at] >= persistenceDefaults.correlationFloor) above += 1;
      for (let s = 0; s < replicates; s++) {
        const times = groupDraws[s * nGroups + of[i]];
        // the drawn sequences may lack the latent: they say nothing of it then
        if (Number.isNaN(resampled[s * some.length + at])) continue;
        totals[s] += times * resampled[s * some.length + at];
        drawn[s] += times;
      }
    }
  }
  const mean = { value: sum / judged, replicates: totals.map((total, s) => total / drawn[s]) };
  return { mean, share: above / judged, r2: Number.NaN };
}

/** A likeness as it is written down. */
export interface LikenessDocument extends Estimate {
  readonly share: number | null;
  readonly r2: number | null;
}

/** Null where nothing can be judged. */
export function likenessDocument({ mean, share, r2 }: Likeness): LikenessDocument {
  return {
    ...estimate(mean, interval(mean) !== null),
    share: finite(share),
    r2: finite(r2),
  };
}

const latentsAtOnce = 1024; // bounds the sums by block
const fields = 5; // Σ x, Σ y, Σ xx, Σ yy, Σ xy

/**
 * Correlations of latents with themselves on either side, of all rows [latents] and in each replicate [replicates,
 * latents], NaN where `a` is silent there: its sums are those of the blocks, times how often it draws each, so all
 * replicates are one product.
 */
async function sameLatents(
  a: Firings,
  b: Firings,
  latents: readonly number[],
  { replicates, nBlocks, blockOf, blockTokens, blockDraws }: Resampling,
): Promise<{ whole: Float64Array; resampled: Float64Array }> {
  const width = latents.length * fields;
  const sums = new Float64Array(nBlocks * width);
  const all = new Float64Array(width);
  for (const [at, i] of latents.entries()) {
    let [p, q] = [a.start[i], b.start[i]];
    const [endP, endQ] = [a.start[i + 1], b.start[i + 1]];
    while (p < endP || q < endQ) {
      const tokenP = p < endP ? a.token[p] : Infinity;
      const tokenQ = q < endQ ? b.token[q] : Infinity;
      const x = tokenP <= tokenQ ? a.value[p++] : 0;
      const y = tokenQ <= tokenP ? b.value[q++] : 0;
      add(sums, blockOf[Math.min(tokenP, tokenQ)] * width + at * fields, x, y);
      add(all, at * fields, x, y);
    }
  }
  const drawn = tf.tidy(() =>
    tf.matMul(
      tf.tensor2d(Float32Array.from(blockDraws), [replicates, nBlocks]),
      tf.tensor2d(Float32Array.from(sums), [nBlocks, width]),
    ),
  );
  const values = await drawn.data();
  drawn.dispose();
  const resampled = new Float64Array(replicates * latents.length);
  for (let s = 0; s < replicates; s++) {
    let n = 0;
    for (let block = 0; block < nBlocks; block++) {
      n += blockDraws[s * nBlocks + block] * blockTokens[block];
    }
    for (let at = 0; at < latents.length; at++) {
      const from = s * width + at * fields;
      resampled[s * latents.length + at] =
        values[from] > 0 ? correlation(values, from, n) : Number.NaN;
    }
  }
  return {
    whole: Float64Array.from(latents, (_, at) => correlation(all, at * fields, a.nTokens)),
    resampled,
  };
}

function add(sums: Float64Array, at: number, x: number, y: number): void {
  sums[at] += x;
  sums[at + 1] += y;
  sums[at + 2] += x * x;
  sums[at + 3] += y * y;
  sums[at + 4] += x * y;
}

/** Of n rows with the sums from `at` on; 0 where a side is silent or constant. */
function correlation(sums: ArrayLike<number>, at: number, n: number): number {
  const [x, y] = [sums[at], sums[at + 1]];
  const [xx, yy, xy] = [sums[at + 2], sums[at + 3], sums[at + 4]];
  const scale = Math.sqrt((xx - (x * x) / n) * (yy - (y * y) / n));
  return scale > 0 ? (xy - (x * y) / n) / scale : 0;
}
