/**
 * @file Two models' activations on the same sequences as one reader of joined rows, so that every stream of
 * activations (shuffled, filtered, resumable) is a paired one too; and the scales that keep the sides even.
 */
import { UsageError } from "../../src/io/index.ts";
import { columnMeans } from "../initialise.ts";
import type { SequenceReader } from "../shared-activations.ts";
import { type Crosscoder, joinedHook, joinRows } from "./crosscoder.ts";

/** Sequences that the scales are measured on. */
const scaleSequences = 64;

/** One hook of two readers of the same sequences. Errors: UsageError where they don't have the same rows. */
export function pairedSequences(
  parent: SequenceReader,
  child: SequenceReader,
  scales: readonly [parent: number, child: number],
): SequenceReader {
  checkPair(parent, child);
  const [own, other] = [parent.hooks[0], child.hooks[0]];
  const side = (hook: SequenceReader["hooks"][number], scale: number): Crosscoder["parent"] => ({
    ...{ model_name: "", hook_name: hook.name, d_in: hook.width },
    scale,
  });
  const sides = { parent: side(own, scales[0]), child: side(other, scales[1]) };
  return {
    hooks: [{ name: joinedHook(own.name, other.name), width: own.width + other.width }],
    nSeq: parent.nSeq,
    atOnce: Math.min(parent.atOnce, child.atOnce),
    rowsIn: (i) => parent.rowsIn(i),
    async read(sequences) {
      const [a] = await parent.read(sequences);
      const [b] = await child.read(sequences);
      return [joinRows(sides, a, b)];
    },
  };
}

/**
 * What each side is multiplied by so that its activations have the mean norm √((d + D)/2) about their mean, measured
 * on some sequences spread over the set. About the mean, because the decoder's bias has it: what latents explain is
 * the rest. Errors: UsageError for activations that don't vary.
 */
export async function sideScales(
  parent: SequenceReader,
  child: SequenceReader,
): Promise<[parent: number, child: number]> {
  checkPair(parent, child);
  const withRows = Array.from({ length: parent.nSeq }, (_, i) => i).filter(
    (i) => parent.rowsIn(i) > 0,
  );
  const count = Math.min(scaleSequences, withRows.length);
  const chosen = Int32Array.from(
    { length: count },
    (_, i) => withRows[Math.floor((i * withRows.length) / count)],
  );
  const target = Math.sqrt((parent.hooks[0].width + child.hooks[0].width) / 2);
  const scales: number[] = [];
  for (const reader of [parent, child]) {
    const [{ name, width }] = reader.hooks;
    const blocks: Float32Array[] = [];
    for (let from = 0; from < count; from += reader.atOnce) {
      blocks.push((await reader.read(chosen.subarray(from, from + reader.atOnce)))[0]);
    }
    const scale = target / meanDeviation(joined(blocks), width);
    if (!(scale > 0 && scale < Infinity)) {
      throw new UsageError({
        code: "no-activations",
        where: name,
        expected: "activations that vary",
        got: `${count} sequences of constant ones`,
      });
    }
    scales.push(scale);
  }
  return [scales[0], scales[1]];
}

/** Mean of ‖x − mean‖ over rows [n, width]. */
function meanDeviation(rows: Float32Array, width: number): number {
  const mean = columnMeans(rows, width);
  let total = 0;
  for (let at = 0; at < rows.length; at += width) {
    let squares = 0;
    for (let j = 0; j < width; j++) squares += (rows[at + j] - mean[j]) ** 2;
    total += Math.sqrt(squares);
  }
  return total / (rows.length / width);
}

function joined(blocks: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(blocks.reduce((sum, block) => sum + block.length, 0));
  let at = 0;
  for (const block of blocks) {
    out.set(block, at);
    at += block.length;
  }
  return out;
}

function checkPair(parent: SequenceReader, child: SequenceReader): void {
  const fail = (expected: string, got: string): never => {
    throw new UsageError({
      code: "crosscoder-pair",
      where: "a crosscoder's two models",
      expected,
      got,
    });
  };
  if (parent.nSeq !== child.nSeq) {
    fail("the same sequences", `${parent.nSeq} and ${child.nSeq} of them`);
  }
  for (let i = 0; i < parent.nSeq; i++) {
    if (parent.rowsIn(i) !== child.rowsIn(i)) {
      fail("the same rows", `${parent.rowsIn(i)} and ${child.rowsIn(i)} in sequence ${i}`);
    }
  }
}
