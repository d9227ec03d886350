/**
 * @file A map between two hooks that no growth relates, fitted on paired rows: ridge regression on every other
 * sequence, its R² on the rest.
 */
import { tf } from "../../src/engine/index.ts";
import { type DenseMap, PairSums } from "../../src/expansion/index.ts";
import type { PairedRows } from "./pair-rows.ts";

/** A fitted map and the share of the second side's variance that it explains on the sequences it was not fitted on. */
export interface FittedRows {
  readonly map: DenseMap;
  /** Null where the rows are all one sequence or have no variance. */
  readonly r2: number | null;
}

/** Fits the map from the first side of the pairs, rows of width d, to the second, of width D. */
export async function fitRows(pairs: PairedRows, d: number, D: number): Promise<FittedRows> {
  const isFit = everyOther(pairs.sequenceLength);
  const sums = new PairSums(d, D);
  for await (const { x, y } of alignedBlocks(pairs, d, D, (row) => isFit[row] === 1)) {
    const [small, big] = [tf.tensor2d(x, [x.length / d, d]), tf.tensor2d(y, [y.length / D, D])];
    await sums.add(small, big);
    tf.dispose([small, big]);
  }
  const map = sums.fit();
  const E = tf.tensor2d(Float32Array.from(map.E), [D, d]);
  const offset = map.offset?.e ?? new Float64Array(D);
  const mean = new Float64Array(D);
  let [n, squares, error] = [0, 0, 0];
  for await (const { x, y } of alignedBlocks(pairs, d, D, (row) => isFit[row] === 0)) {
    const mapped = tf.tidy(() => tf.matMul(tf.tensor2d(x, [x.length / d, d]), E, false, true));
    const values = await mapped.data();
    mapped.dispose();
    for (let i = 0; i < y.length; i++) {
      mean[i % D] += y[i];
      squares += y[i] ** 2;
      error += (y[i] - values[i] - offset[i % D]) ** 2;
    }
    n += y.length / D;
  }
  E.dispose();
  const variance = squares - mean.reduce((sum, total) => sum + total ** 2 / n, 0);
  return { map, r2: n > 0 && variance > 0 ? 1 - error / variance : null };
}

/** 1 for the rows of every other sequence, the first one's among them. */
function everyOther(lengths: Int32Array): Uint8Array {
  const isFit = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  let row = 0;
  for (const [s, length] of lengths.entries()) {
    if (s % 2 === 0) isFit.fill(1, row, row + length);
    row += length;
  }
  return isFit;
}

/** Rows of both sides that are wanted, in blocks of equal numbers of rows. */
async function* alignedBlocks(
  pairs: PairedRows,
  d: number,
  D: number,
  isWanted: (row: number) => boolean,
  blockRows = 2048,
): AsyncGenerator<{ x: Float32Array; y: Float32Array }> {
  const [small, big] = [rowsOf(pairs.a(), d), rowsOf(pairs.b(), D)];
  const [x, y] = [new Float32Array(blockRows * d), new Float32Array(blockRows * D)];
  let filled = 0;
  for (let row = 0; row < pairs.n; row++) {
    const [from, to] = [await small.next(), await big.next()];
    if (from.done || to.done) throw new Error("internal: paired rows of different numbers");
    if (!isWanted(row)) continue;
    x.set(from.value, filled * d);
    y.set(to.value, filled * D);
    filled++;
    if (filled < blockRows) continue;
    yield { x, y };
    filled = 0;
  }
  if (filled > 0) yield { x: x.slice(0, filled * d), y: y.slice(0, filled * D) };
}

async function* rowsOf(
  blocks: AsyncIterable<Float32Array>,
  width: number,
): AsyncGenerator<Float32Array> {
  for await (const block of blocks) {
    for (let at = 0; at < block.length; at += width) yield block.subarray(at, at + width);
  }
}
