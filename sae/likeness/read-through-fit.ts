/**
 * @file One model read with another model's SAE: the reference model's activations are predicted from the other's by
 * a linear map with an intercept (ridge), and its SAE, unchanged, encodes the prediction. So what is asked is whether
 * the features that the SAE sees in its own model are linearly there, and nothing is trained but that map. This is
 * model stitching (Lenc & Vedaldi 2015, arXiv:1411.5908; Bansal et al. 2021, arXiv:2106.07682) with an SAE in place of
 * the layers behind. Rows of either half of the sequences go through the map that was fitted on the other half.
 * Limit: a map as wide as the activations may turn and mix directions, so whether features stayed where they were is
 * another question (the carried SAE, untrained, on the same rows).
 */
import { tf } from "../../src/engine/index.ts";
import { PairSums } from "../../src/expansion/index.ts";
import { encodeAsync } from "../encode.ts";
import { joinCodes } from "../join-codes.ts";
import { sequenceBlocks } from "../persistence/bootstrap.ts";
import type { Sae, SparseCodes } from "../sae.ts";

/** Activations of one model on the held-out tokens, in order. */
export interface ModelRows {
  readonly width: number;
  readonly values: Float32Array; // [nTokens, width]
}

/** Runs of rows, whole sequences each: runs of even and of odd number are the two halves. */
export interface Runs {
  readonly blockOf: Int32Array; // [nTokens], ascending
  readonly nBlocks: number;
}

/** Runs of rows that both halves together have, at most: enough to spread both over all of the text. */
const mostRuns = 20;

/** The runs that rows of sequences of `sequenceLength` fall into. */
export function runsOf(nTokens: number, sequenceLength: number): Runs {
  return sequenceBlocks(nTokens, sequenceLength, mostRuns);
}

/** What an SAE reads from another model. */
export interface Reading {
  readonly codes: SparseCodes;
  /** Share of the reference's variance that the map explains on rows that it was not fitted on; NaN without variance. */
  readonly r2: number;
}

/** The codes of an SAE on its own model's rows, encoded run by run. */
export async function ownCodes(sae: Sae, rows: ModelRows, runs: Runs): Promise<SparseCodes> {
  const parts: SparseCodes[] = [];
  for (let b = 0; b < runs.nBlocks; b++) {
    const x = runTensor(rows, bounds(runs, b));
    parts.push(await encodeAsync(sae, x));
    x.dispose();
  }
  return joinCodes(parts);
}

/** Reads the reference model's SAE from the other model's rows. Errors: internal for fewer than two runs. */
export async function readThroughFit(
  sae: Sae,
  reference: ModelRows,
  other: ModelRows,
  runs: Runs,
): Promise<Reading> {
  if (runs.nBlocks < 2)
    throw new Error("internal: a map is fitted on one half and read on another");
  const halves = [0, 1].map(() => new PairSums(reference.width, other.width));
  for (let b = 0; b < runs.nBlocks; b++) {
    const [x, y] = [reference, other].map((rows) => runTensor(rows, bounds(runs, b)));
    await halves[b % 2].add(x, y);
    tf.dispose([x, y]);
  }
  // each half is read through the other's map
  const maps = halves.toReversed().map((sums) => {
    const { R, offset } = sums.fit();
    const matrix = tf.tensor2d(Float32Array.from(R), [reference.width, other.width]);
    return { matrix, offset: tf.tensor1d(Float32Array.from(offset!.r)) };
  });
  const parts: SparseCodes[] = [];
  const spread = squaredDeviations(reference);
  let error = 0;
  for (let b = 0; b < runs.nBlocks; b++) {
    const at = bounds(runs, b);
    const { matrix, offset } = maps[b % 2];
    const predicted = tf.tidy(
      () => tf.add(tf.matMul(runTensor(other, at), matrix, false, true), offset) as tf.Tensor2D,
    );
    parts.push(await encodeAsync(sae, predicted));
    const values = await predicted.data();
    predicted.dispose();
    const x = reference.values.subarray(at.from * reference.width, at.to * reference.width);
    for (let i = 0; i < x.length; i++) error += (x[i] - values[i]) ** 2;
  }
  for (const { matrix, offset } of maps) tf.dispose([matrix, offset]);
  return { codes: joinCodes(parts), r2: spread > 0 ? 1 - error / spread : Number.NaN };
}

function bounds({ blockOf }: Runs, b: number): { from: number; to: number } {
  return { from: blockOf.indexOf(b), to: blockOf.lastIndexOf(b) + 1 };
}

function runTensor(
  { width, values }: ModelRows,
  { from, to }: { from: number; to: number },
): tf.Tensor2D {
  return tf.tensor2d(values.subarray(from * width, to * width), [to - from, width]);
}

/** Σ‖x − x̄‖² over the rows. */
function squaredDeviations({ width, values }: ModelRows): number {
  const sum = new Float64Array(width);
  let squares = 0;
  for (let at = 0; at < values.length; at += width) {
    for (let j = 0; j < width; j++) {
      const x = values[at + j];
      sum[j] += x;
      squares += x * x;
    }
  }
  const n = values.length / width;
  return squares - sum.reduce((total, x) => total + (x * x) / n, 0);
}
