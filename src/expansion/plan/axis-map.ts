/**
 * @file Where the entries along one axis of a grown parameter come from: an index of the parent, the
 * mean over the parent's axis, or nothing (a fresh entry). Every duplication-based growth method is
 * made of such maps, one for each axis of each parameter.
 */

/** In place of an index: the mean over the parent's axis (LEMON's average expansion). */
export const MEAN = -1;

/** In place of an index: an entry without a parent; the parameter's `fill` says what it holds. */
export const FRESH = -2;

/** Entry i of the child's axis is `weight[i]` (1 without weights) times entry `source[i]` of the parent's. */
export interface AxisMap {
  readonly source: Int32Array; // [nChild]
  readonly weight: Float64Array | null; // [nChild]
  /** 1 = the entry comes from the parameter's donor and not from its parent; absent = none does. */
  readonly donated?: Uint8Array; // [nChild]
}

/** The map that changes nothing on an axis of n entries. */
export function identityAxis(n: number): AxisMap {
  return { source: Int32Array.from({ length: n }, (_, i) => i), weight: null };
}

/** Whether the map changes nothing on an axis of n entries. */
export function isIdentityAxis({ source, weight }: AxisMap, n: number): boolean {
  return source.length === n && weight === null && source.every((from, i) => from === i);
}

/** The map on blocks of `size` entries (a head's dimensions) that moves whole blocks as `axis` says. */
export function blockAxis({ source, weight, donated }: AxisMap, size: number): AxisMap {
  const blocks = new Int32Array(source.length * size);
  const weights = weight && new Float64Array(blocks.length);
  for (let i = 0; i < blocks.length; i++) {
    const block = Math.floor(i / size);
    blocks[i] = source[block] < 0 ? source[block] : source[block] * size + (i % size);
    if (weights && weight) weights[i] = weight[block];
  }
  if (!donated) return { source: blocks, weight: weights };
  const given = Uint8Array.from(blocks, (_, i) => donated[Math.floor(i / size)]);
  return { source: blocks, weight: weights, donated: given };
}

/**
 * `count` repetitions of an axis whose parent has n entries, laid end to end, as in GPT-2's fused
 * q|k|v projection. Indices of the parent and fresh entries only: a mean over the fused axis would mix its parts.
 */
export function repeatAxis(
  { source, weight, donated }: AxisMap,
  n: number,
  count: number,
): AxisMap {
  if (source.includes(MEAN)) throw new Error("internal: a fused axis has no mean");
  const repeated = new Int32Array(source.length * count);
  for (let i = 0; i < repeated.length; i++) {
    const from = source[i % source.length];
    repeated[i] = from < 0 ? from : Math.floor(i / source.length) * n + from;
  }
  const weights = weight && Float64Array.from(repeated, (_, i) => weight[i % source.length]);
  if (!donated) return { source: repeated, weight: weights };
  const given = Uint8Array.from(repeated, (_, i) => donated[i % source.length]);
  return { source: repeated, weight: weights, donated: given };
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
