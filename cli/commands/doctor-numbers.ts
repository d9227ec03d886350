/** @file Seeded numbers for `doctor --check`, and how far two arrays are apart. */
import { createRng, type Rng } from "../../src/engine/index.ts";

/** Where all numbers of the checks come from. */
export const rng: Rng = createRng("doctor");

/** `length` standard normal numbers, the same ones for the same label. */
export function random(length: number, label: string): Float32Array {
  const stream = rng.fork(label);
  return Float32Array.from({ length }, () => stream.normal());
}

/** max |a − b|; NaN where there is one, which is within no tolerance. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.NaN;
  let worst = 0;
  for (let i = 0; i < a.length; i++) {
    worst = Math.max(worst, Math.abs(a[i] - b[i])); // NaN stays
  }
  return worst;
}
