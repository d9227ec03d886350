/**
 * @file Where the entries along one axis of a grown parameter come from: an index of the parent, the
 * mean over the parent's axis, or nothing (a fresh entry). Every duplication-based growth method is
 * made of such maps, one for each axis of each parameter.
 */

import { freshSource, meanSource, zeroSource } from "../../engine/index.ts";

/** In place of an index: the mean over the parent's axis (LEMON's average expansion). */
export const MEAN: number = meanSource;

/** In place of an index: an entry without a parent; the parameter's `fill` says what it holds. */
export const FRESH: number = freshSource;

/** In place of an index: an entry without a parent that is 0, whatever the parameter's `fill`; where the other axis is fresh, that fills. */
export const ZERO: number = zeroSource;

/** Entry i of the child's axis is `weight[i]` (1 without weights) times entry `source[i]` of the parent's. */
export interface AxisMap {
  readonly source: Int32Array; // [nChild]
  readonly weight: Float64Array | null; // [nChild]
  /** 1 = the entry comes from the parameter's donor and not from its parent; absent = none does. */
  readonly donated?: Uint8Array; // [nChild]
  /** The part of its parent's gradient that entry i gets; where missing, `gradientShares` works it out. */
  readonly share?: Float64Array; // [nChild]
}

/** The map that changes nothing on an axis of n entries. */
export function identityAxis(n: number): AxisMap {
  return { source: Int32Array.from({ length: n }, (_, i) => i), weight: null };
}

/** Whether the map changes nothing on an axis of n entries. */
export function isIdentityAxis({ source, weight }: AxisMap, n: number): boolean {
  return source.length === n && weight === null && source.every((from, i) => from === i);
}

/**
 * The map on blocks of `size` parent entries (a head's dimensions) that moves blocks as `axis` says and,
 * within each, entries as `inner` says: without it, as they are.
 */
export function blockAxis(
  axis: AxisMap,
  size: number,
  inner: AxisMap = identityAxis(size),
): AxisMap {
  const { source, weight, donated } = axis;
  const n = inner.source.length;
  const entries = new Int32Array(source.length * n);
  source.forEach((block, b) => {
    for (let i = 0; i < n; i++) {
      const from = inner.source[i];
      entries[b * n + i] = block < 0 ? block : from < 0 ? from : block * size + from;
    }
  });
  const products = (outer: Float64Array | null, within: Float64Array | null): Float64Array =>
    Float64Array.from(
      entries,
      (_, i) => (outer?.[Math.floor(i / n)] ?? 1) * (within?.[i % n] ?? 1),
    );
  const isWeighted = weight !== null || inner.weight !== null;
  const isShared = axis.share !== undefined || inner.share !== undefined;
  return {
    source: entries,
    weight: isWeighted ? products(weight, inner.weight) : null,
    ...(isShared && { share: products(gradientShares(axis), gradientShares(inner)) }),
    ...(donated && { donated: Uint8Array.from(entries, (_, i) => donated[Math.floor(i / n)]) }),
  };
}

/**
 * Axes laid end to end, as q|k|v in a fused projection; each has `n` entries in the parent. A mean over
 * the fused axis would mix its parts, so there is none.
 */
export function concatAxes(axes: readonly AxisMap[], n: number): AxisMap {
  if (axes.some(({ source }) => source.includes(MEAN))) {
    throw new Error("internal: a fused axis has no mean");
  }
  const source = axes.flatMap((axis, part) =>
    Array.from(axis.source, (from) => (from < 0 ? from : part * n + from)),
  );
  const weights = axes.flatMap(({ source, weight }) =>
    Array.from(weight ?? new Float64Array(source.length).fill(1)),
  );
  const donated = axes.flatMap(({ source, donated }) =>
    Array.from(donated ?? new Uint8Array(source.length)),
  );
  return {
    source: Int32Array.from(source),
    weight: axes.every(({ weight }) => weight === null) ? null : Float64Array.from(weights),
    ...(axes.some(({ share }) => share) && {
      share: Float64Array.from(axes.flatMap((axis) => Array.from(gradientShares(axis)))),
    }),
    ...(donated.includes(1) ? { donated: Uint8Array.from(donated) } : {}),
  };
}

/**
 * For each entry of the child's axis, its gradient over its parent's, [nChild], 0 for means and fresh entries. The
 * shares of an entry's copies, times their weights, sum to 1: the chain rule of a growth that keeps the function.
 * Where the axis doesn't say otherwise all copies get the same: c copies of weight 1 get 1/c each (an output whose
 * copies are summed further on), and copies whose weights sum to 1 get it whole (an input that comes c times).
 */
export function gradientShares({ source, weight, share }: AxisMap): Float64Array {
  if (share) return share;
  const sums = new Map<number, number>();
  source.forEach((from, i) => {
    sums.set(from, (sums.get(from) ?? 0) + (weight?.[i] ?? 1));
  });
  return Float64Array.from(source, (from) => {
    const sum = sums.get(from) ?? 0;
    return from < 0 || sum === 0 ? 0 : 1 / sum;
  });
}

/** The child's indices that share a parent index, for each parent index that was copied more than once. */
export function copyGroups(source: Int32Array): number[][] {
  const groups = new Map<number, number[]>();
  source.forEach((from, i) => {
    if (from < 0) return;
    const group = groups.get(from);
    if (group) group.push(i);
    else groups.set(from, [i]);
  });
  return [...groups.values()].filter((group) => group.length > 1);
}
