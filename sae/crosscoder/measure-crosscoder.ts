/**
 * @file What a crosscoder's latents are on held-out tokens: the norms and directions of their two decoder parts, and
 * latent scaling on both sides. With w_P, w_C a latent's decoder parts (in the joined frame, where both models weigh the
 * same) and the stronger one as reference d, carried into the other model by the expansion map,
 *   Δ   = ½ (1 + (‖w_C‖ − ‖w_P‖) / max(‖w_C‖, ‖w_P‖))   0 = the parent's alone, ½ = as strong in both, 1 = the child's
 *   ν^ε = β^ε(weak)/β^ε(strong), β^ε on what the others leave, ε = x − x̂ + f w: the error still holds the feature
 *         (complete shrinkage: the penalty took the weaker part away)
 *   ν^r = β^r(weak)/β^r(strong), β^r on the whole reconstruction x̂ − b_dec: other latents hold the feature there
 *         (latent decoupling: one latent for each model)
 * after Minder et al. 2025, who have one space for both models; here the map takes the direction over. Each figure has
 * its null: the same sums with the latent's activations moved along the tokens by whole sequences; the cosine's is
 * that of parts of different latents.
 */
import { type Rng, tf } from "../../src/engine/index.ts";
import { decode } from "../decode.ts";
import { encodeAsync } from "../encode.ts";
import { joinCodes } from "../join-codes.ts";
import type { SparseCodes } from "../sae.ts";
import { type Crosscoder, joinRows, sideRows, sideWidths } from "./crosscoder.ts";
import { latentScaling } from "./latent-scaling.ts";

/** How directions get from one side to the other, a row each; from the expansion map. */
export interface CrosscoderFrame {
  /** E applied to rows [n, d] → [n, D]. */
  readonly toChild: (rows: Float32Array) => Float32Array;
  /** Its left inverse R applied to rows [n, D] → [n, d]. */
  readonly toParent: (rows: Float32Array) => Float32Array;
}

/** Both models' raw activations on the same tokens. */
export interface PairBlock {
  readonly parent: Float32Array; // [n, d]
  readonly child: Float32Array; // [n, D]
  /** Rows of a sequence: the null moves activations by whole ones. */
  readonly sequenceLength: number;
}

/** Figures of every latent, each [d_sae]; NaN = not measured, or the latent never fires. */
export interface LatentFigures {
  /** Weaker part's norm over the stronger's, in [0, 1]. */
  readonly normRatio: Float64Array;
  readonly nuError: Float64Array;
  readonly nuReconstruction: Float64Array;
}

/** What was measured. */
export interface CrosscoderMeasures {
  /** Every token's codes, in the order of the blocks. */
  readonly codes: SparseCodes;
  readonly l0: number;
  readonly fvuParent: number;
  readonly fvuChild: number;
  readonly delta: Float64Array; // [d_sae]
  /** Cosine of the child's part with the parent's through the map; NaN without a map or where a part is zero. */
  readonly cosine: Float64Array; // [d_sae]
  readonly figures: LatentFigures;
  /** The same under the null; the norm ratio's is that of as many tokens as the crosscoder was trained on. */
  readonly chance: LatentFigures;
  /** Cosine of the child's part of another latent with the parent's through the map. */
  readonly chanceCosine: Float64Array; // [d_sae]
}

/** Measures a crosscoder in one pass over held-out blocks; without a frame there are no cosines and no ν. */
export async function measureCrosscoder(
  crosscoder: Crosscoder,
  blocks: AsyncIterable<PairBlock> | Iterable<PairBlock>,
  frame: CrosscoderFrame | null,
  rng: Rng,
): Promise<CrosscoderMeasures> {
  const { sae } = crosscoder;
  const { d_in: width, d_sae } = sae.cfg;
  const widths = sideWidths(crosscoder);
  const parts = decoderParts(crosscoder, frame, rng.fork("pairs"));
  const { directions } = parts;
  const onError = directions && latentScaling(directions, widths);
  const onReconstruction = directions && latentScaling(directions, widths);
  const errorByChance = directions && latentScaling(directions, widths);
  const reconstructionByChance = directions && latentScaling(directions, widths);
  const fit = chanceDecoder(d_sae, widths);
  const spread = sideSpread(widths);
  const found: SparseCodes[] = [];
  for await (const block of blocks) {
    const rows = joinRows(crosscoder, block.parent, block.child);
    const n = rows.length / width;
    const codes = await codesOf(crosscoder, rows);
    found.push(codes);
    const made = decode(sae, codes); // [n, width]
    const error = rows.map((x, at) => x - made[at]);
    const reconstruction = made.map((x, at) => x - sae.b_dec[at % width]);
    spread.add(rows, error);
    onError?.add(codes, error);
    onReconstruction?.add(codes, reconstruction);
    const shift = wholeSequences(n, block.sequenceLength, rng);
    if (shift === 0) continue;
    errorByChance?.add(codes, error, shift);
    reconstructionByChance?.add(codes, reconstruction, shift);
    fit.add(codes, error, shift);
  }
  const codes = joinCodes(found);
  const strong = parts.childIsStronger;
  // what least squares finds by chance shrinks with the root of the tokens it sees
  const trained = Math.min(1, Math.sqrt(codes.nTokens / Math.max(1, crosscoder.tokens)));
  const none = new Float64Array(d_sae).fill(Number.NaN);
  const ratio = (
    betas: readonly Float64Array[] | undefined,
    over: readonly Float64Array[] | undefined,
    own: readonly [Float64Array, Float64Array] | null,
    ownOver: readonly [Float64Array, Float64Array] | null,
  ): Float64Array => {
    if (!betas || !over) return none;
    return Float64Array.from(strong, (isChild, i) => {
      const [weak, strongest] = isChild ? [0, 1] : [1, 0];
      const top = betas[weak][i] + (own?.[weak][i] ?? 0);
      const below = over[strongest][i] + (ownOver?.[strongest][i] ?? 0);
      return below > 0 ? top / below : Number.NaN;
    });
  };
  const error = onError?.betas();
  const reconstruction = onReconstruction?.betas();
  const fired = Uint8Array.from({ length: d_sae });
  for (const i of codes.latent) fired[i] = 1;
  const ifFired = (value: number, i: number): number => (fired[i] ? value : Number.NaN);
  return {
    codes,
    l0: codes.latent.length / codes.nTokens,
    fvuParent: spread.fvu(0),
    fvuChild: spread.fvu(1),
    delta: parts.delta,
    cosine: parts.cosine,
    figures: {
      normRatio: parts.normRatio.map(ifFired),
      nuError: ratio(error, error, parts.own, parts.own),
      nuReconstruction: ratio(reconstruction, reconstruction, null, null),
    },
    chance: {
      normRatio: Float64Array.from(
        fit.norms(),
        ([p, c], i) => (trained * (strong[i] ? p : c)) / parts.strongNorm[i],
      ),
      nuError: ratio(errorByChance?.betas(), error, null, parts.own),
      nuReconstruction: ratio(reconstructionByChance?.betas(), reconstruction, null, null),
    },
    chanceCosine: parts.chanceCosine,
  };
}

interface DecoderParts {
  readonly delta: Float64Array;
  readonly normRatio: Float64Array;
  readonly strongNorm: Float64Array;
  readonly childIsStronger: Uint8Array;
  readonly cosine: Float64Array;
  readonly chanceCosine: Float64Array;
  /** The stronger part, and itself carried to the other side, joined [d_sae, d + D]; null without a map. */
  readonly directions: Float32Array | null;
  /** ⟨d, w⟩/‖d‖² of each side: what the latent itself adds to its β on the error. */
  readonly own: readonly [Float64Array, Float64Array] | null;
}

/** What the decoder alone says. */
function decoderParts(
  crosscoder: Crosscoder,
  frame: CrosscoderFrame | null,
  rng: Rng,
): DecoderParts {
  const { sae, parent, child } = crosscoder;
  const { d_sae, d_in: width } = sae.cfg;
  const [d] = sideWidths(crosscoder);
  const ofParent = sideRows(crosscoder, "parent", sae.W_dec);
  const ofChild = sideRows(crosscoder, "child", sae.W_dec);
  // h = x / scale, so a direction of joined rows is one of activations over the scale
  const mapped =
    frame?.toChild(ofParent.map((w) => w / parent.scale)).map((w) => w * child.scale) ?? null;
  const pulled =
    frame?.toParent(ofChild.map((w) => w / child.scale)).map((w) => w * parent.scale) ?? null;
  const perLatent = (): Float64Array => new Float64Array(d_sae).fill(Number.NaN);
  const [delta, normRatio, strongNorm, cosine, chanceCosine] = Array.from({ length: 5 }, perLatent);
  const other = d_sae > 1 ? 1 + rng.int(d_sae - 1) : 0;
  const own: [Float64Array, Float64Array] = [perLatent(), perLatent()];
  const childIsStronger = new Uint8Array(d_sae);
  const directions = frame && new Float32Array(d_sae * width);
  for (let i = 0; i < d_sae; i++) {
    const w = [row(ofParent, i, d), row(ofChild, i, width - d)];
    const [p, c] = w.map((part) => Math.sqrt(dot(part, part)));
    const most = Math.max(p, c);
    if (most === 0) continue;
    delta[i] = (1 + (c - p) / most) / 2;
    normRatio[i] = Math.min(p, c) / most;
    strongNorm[i] = most;
    childIsStronger[i] = c > p ? 1 : 0;
    if (!mapped || !pulled || !directions) continue;
    const through = row(mapped, i, width - d);
    cosine[i] = cosineOf(through, w[1]);
    if (other > 0) {
      chanceCosine[i] = cosineOf(through, row(ofChild, (i + other) % d_sae, width - d));
    }
    const reference = c > p ? [row(pulled, i, d), w[1]] : [w[0], through];
    directions.set(reference[0], i * width);
    directions.set(reference[1], i * width + d);
    for (const s of [0, 1]) {
      const squares = dot(reference[s], reference[s]);
      own[s][i] = squares === 0 ? 0 : dot(reference[s], w[s]) / squares;
    }
  }
  return {
    ...{ delta, normRatio, strongNorm, childIsStronger, cosine, chanceCosine, directions },
    own: frame && own,
  };
}

function row(matrix: Float32Array, i: number, width: number): Float32Array {
  return matrix.subarray(i * width, (i + 1) * width);
}

function cosineOf(a: Float32Array, b: Float32Array): number {
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let j = 0; j < a.length; j++) sum += a[j] * b[j];
  return sum;
}

/** The decoder parts that least squares finds for activations that have nothing to do with the rows: their norms by latent. */
function chanceDecoder(d_sae: number, [d, D]: readonly number[]) {
  const width = d + D;
  const sums = new Float32Array(d_sae * width); // Σ f ε
  const energy = new Float64Array(d_sae);
  return {
    add({ rowStart, latent, value }: SparseCodes, rows: Float32Array, shift: number): void {
      const n = rows.length / width;
      for (let t = 0; t < n; t++) {
        const from = t >= shift ? t - shift : t - shift + n;
        for (let p = rowStart[from]; p < rowStart[from + 1]; p++) {
          const [i, f] = [latent[p], value[p]];
          energy[i] += f * f;
          for (let j = 0; j < width; j++) sums[i * width + j] += f * rows[t * width + j];
        }
      }
    },
    norms: (): [parent: number, child: number][] =>
      Array.from(energy, (squares, i) => {
        if (squares === 0) return [Number.NaN, Number.NaN];
        const all = row(sums, i, width);
        const [p, c] = [all.subarray(0, d), all.subarray(d)];
        return [Math.sqrt(dot(p, p)) / squares, Math.sqrt(dot(c, c)) / squares];
      }),
  };
}

/** Each side's variance and what is left of it. */
function sideSpread(widths: readonly number[]) {
  const width = widths.reduce((sum, w) => sum + w, 0);
  const sums = new Float64Array(width);
  const squares = new Float64Array(width);
  const left = new Float64Array(width);
  let n = 0;
  return {
    add(rows: Float32Array, error: Float32Array): void {
      for (let at = 0; at < rows.length; at++) {
        const j = at % width;
        sums[j] += rows[at];
        squares[j] += rows[at] ** 2;
        left[j] += error[at] ** 2;
      }
      n += rows.length / width;
    },
    fvu(side: number): number {
      const from = side === 0 ? 0 : widths[0];
      let [error, variance] = [0, 0];
      for (let j = from; j < from + widths[side]; j++) {
        error += left[j];
        variance += squares[j] - sums[j] ** 2 / n;
      }
      return error / variance;
    },
  };
}

async function codesOf({ sae }: Crosscoder, rows: Float32Array): Promise<SparseCodes> {
  const tensor = tf.tensor2d(rows, [rows.length / sae.cfg.d_in, sae.cfg.d_in]);
  const codes = await encodeAsync(sae, tensor);
  tensor.dispose();
  return codes;
}

/** Whole sequences to move codes by, at least one, in rows; 0 where a block holds only one. */
function wholeSequences(n: number, sequenceLength: number, rng: Rng): number {
  const sequences = Math.floor(n / sequenceLength);
  return sequences < 2 ? 0 : sequenceLength * (1 + rng.int(sequences - 1));
}
