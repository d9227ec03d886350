/**
 * @file Growth from disk to disk: parameters of the parent are read when one of the child's needs them, and the child's
 * are written as they are made, in blocks of rows. What is in memory at a time is one or two tensors of the parent and
 * a block, however large the models are.
 */
import type { Rng } from "../engine/index.ts";
import { sizeOf } from "../io/index.ts";
import type { Checkpoint, CheckpointSink, ModelConfig } from "../models/index.ts";
import { growTensor } from "./plan/execute-plan.ts";
import type { GrowthPlan } from "./plan/growth-plan.ts";

/** Numbers in a block: 8 MiB. */
const blockSize = 2 ** 21;

/**
 * Makes the child of `plan` and writes it into `sink`, which is not committed. The same numbers as `executePlan` with
 * the same `rng`. `onProgress` is told the share of the child's numbers that are written.
 */
export async function growCheckpoint(
  plan: GrowthPlan<ModelConfig>,
  parent: Pick<Checkpoint, "read">,
  sink: Pick<CheckpointSink, "write">,
  rng: Rng,
  onProgress: (share: number) => void = () => {},
): Promise<void> {
  const total = plan.parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  let written = 0;
  const room = new Float32Array(blockSize);
  for (const parameter of plan.parameters) {
    const { name, shape } = parameter;
    const growing = growTensor(parameter, (from) => parent.read(from), rng);
    const { width } = growing;
    const size = sizeOf(shape);
    const rows = Math.max(1, Math.floor(blockSize / width));
    for (let row = 0; row * width < size; row += rows) {
      const length = Math.min(rows * width, size - row * width);
      const block = length <= blockSize ? room.subarray(0, length) : new Float32Array(length);
      growing.fill(row, block);
      sink.write(name, row * width, block);
      written += length;
      onProgress(written / total);
    }
    await new Promise<void>((resolve) => setImmediate(resolve)); // a signal, a line of progress
  }
}
