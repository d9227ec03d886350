/**
 * @file The numbers that LiGO learns, by name: width operators M [nChild − nParent, nParent] and depth coefficients
 * [1, parent's layers]. Their start is the published one (LiGO's repository, `stackbert_noisy` and `rand`): rows of M
 * uniform and normalised to sum 1, so that a new unit is a random average of the old ones; layer l of the child is
 * layer l mod L of the parent, the others mixed in by U(0, .03), normalised.
 */
import type { Rng } from "../../engine/index.ts";
import { type HostTensor, sizeOf } from "../../io/index.ts";
import type { GrowthFrame, WidthAxis } from "./growth-frame.ts";

/** Width operators and depth coefficients by name. */
export type Operators = ReadonlyMap<string, HostTensor>;

/** Largest share of another layer, before normalising, at the start. */
const depthNoise = 0.03;

/** Names and shapes of all operators of a growth, for a parent of `nLayer` layers. */
export function operatorShapes(
  { parameters, residual, layers }: GrowthFrame,
  nLayer: number,
): Map<string, readonly [number, number]> {
  const shapes = new Map<string, readonly [number, number]>();
  const width = ({ operator, nParent, nChild }: WidthAxis) => {
    if (operator !== null) shapes.set(operator, [nChild - nParent, nParent]);
  };
  width(residual);
  for (const { queries, keys, values, neurons } of layers) {
    for (const axis of [queries, keys, values, neurons]) width(axis);
  }
  for (const { pieces } of parameters) {
    for (const { mix } of pieces) if (mix !== null) shapes.set(mix, [1, nLayer]);
  }
  return shapes;
}

/** The operators before learning. Each draws from the stream of its own name. */
export function initialOperators(frame: GrowthFrame, nLayer: number, rng: Rng): Operators {
  const operators = new Map<string, HostTensor>();
  for (const [name, shape] of operatorShapes(frame, nLayer)) {
    const stream = rng.fork(name);
    const data = new Float32Array(sizeOf(shape));
    const layer = /^depth:(\d+):/.exec(name)?.[1];
    for (let i = 0; i < data.length; i++) data[i] = stream.next();
    if (layer !== undefined) {
      for (let i = 0; i < data.length; i++) data[i] *= depthNoise;
      data[Number(layer) % nLayer] = 1;
    }
    normaliseRows(data, shape[1]);
    operators.set(name, { shape, data });
  }
  return operators;
}

function normaliseRows(data: Float32Array, width: number): void {
  for (let start = 0; start < data.length; start += width) {
    const row = data.subarray(start, start + width);
    const total = row.reduce((sum, value) => sum + value, 0);
    for (let i = 0; i < width; i++) row[i] /= total;
  }
}
