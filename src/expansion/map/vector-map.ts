/**
 * @file Linear maps from a hook of the parent to the matching hook of the child: h_big = E h_small,
 * with R the Moore–Penrose inverse. Three kinds: identity, dense (the residual stream), selection
 * (copied heads and neurons, where E would be huge and mostly zero). A map that was fitted on text is dense with an
 * offset. Directions (decoder rows, differences) go through the linear part alone, activations through all of it. All
 * sums are in f64.
 */

/** A dense map. */
export interface DenseMap {
  readonly E: Float64Array; // [D, d]
  readonly R: Float64Array; // [d, D]
  readonly d: number;
  readonly D: number;
  /** Of a fitted map, h_big ≈ E h + e and h ≈ R h_big + r; R is then no inverse of E. */
  readonly offset?: {
    readonly e: Float64Array; // [D]
    readonly r: Float64Array; // [d]
  };
}

/** Child block j begins with the `size` entries of parent block `source[j]`; −1 = fresh, zero under E. */
export interface SelectionMap {
  readonly source: Int32Array;
  readonly size: number;
  /** Entries of a child's block, where there are more: those behind the parent's are zero under E. Default size. */
  readonly childSize?: number;
  /** Blocks of the parent. */
  readonly nParent: number;
}

/** A linear map of one of the three kinds. */
export type VectorMap =
  | { readonly kind: "identity" }
  | ({ readonly kind: "dense" } & DenseMap)
  | ({ readonly kind: "selection" } & SelectionMap);

/** Rows of numbers, one vector a row; results have the type of what came in. */
export type Rows = Float32Array | Float64Array;

/** Directions: E h for each row, [n, d] → [n, D]. */
export function applyE<T extends Rows>(map: VectorMap, rows: T): T {
  if (map.kind === "dense") return multiply(rows, map.E, map.d, map.D);
  if (map.kind === "selection") return select(rows, map, () => 1);
  return rows.slice() as T;
}

/** Activations: E h + e for each row, [n, d] → [n, D]. */
export function applyPoints<T extends Rows>(map: VectorMap, rows: T): T {
  const mapped = applyE(map, rows);
  return map.kind === "dense" && map.offset ? shifted(mapped, map.offset.e) : mapped;
}

/** Activations: R h + r for each row, [n, D] → [n, d]. */
export function applyRPoints<T extends Rows>(map: VectorMap, rows: T): T {
  const mapped = applyR(map, rows);
  return map.kind === "dense" && map.offset ? shifted(mapped, map.offset.r) : mapped;
}

/** Whether the map was fitted and not derived. */
export function isFitted(map: VectorMap): boolean {
  return map.kind === "dense" && map.offset !== undefined;
}

/** Directions: R h for each row, [n, D] → [n, d]. */
export function applyR<T extends Rows>(map: VectorMap, rows: T): T {
  if (map.kind === "dense") return multiply(rows, map.R, map.D, map.d);
  if (map.kind === "selection") return averageCopies(rows, map);
  return rows.slice() as T;
}

/** Rᵀ w for each row, so that (Rᵀw)·(E h) = w·h: what encoders and probes become. [n, d] → [n, D]. */
export function applyReadout<T extends Rows>(map: VectorMap, rows: T): T {
  if (map.kind === "dense") return multiply(rows, transposed(map.R, map.d, map.D), map.d, map.D);
  if (map.kind === "selection") {
    const copies = countCopies(map);
    return select(rows, map, (block) => 1 / copies[block]);
  }
  return rows.slice() as T;
}

/** Width on the child's side of vectors that are `d` wide in the parent. */
export function grownWidth(map: VectorMap, d: number): number {
  if (map.kind === "dense") return map.D;
  return map.kind === "selection" ? map.source.length * childSizeOf(map) : d;
}

/** Width on the parent's side; null for the identity, which takes any. */
export function parentWidth(map: VectorMap): number | null {
  if (map.kind === "dense") return map.d;
  return map.kind === "selection" ? map.nParent * map.size : null;
}

/** Groups of at least two child coordinates that are equal on the image of E, ascending; those of fresh units aren't. */
export function equalCoordinates(map: VectorMap): number[][] {
  const groups = new Map<string, number[]>();
  const add = (key: string, i: number) => {
    const group = groups.get(key);
    if (group) group.push(i);
    else groups.set(key, [i]);
  };
  if (map.kind === "dense") {
    for (let i = 0; i < map.D; i++) add(map.E.subarray(i * map.d, (i + 1) * map.d).join(), i);
  } else if (map.kind === "selection") {
    const childSize = childSizeOf(map);
    for (let i = 0; i < map.source.length * childSize; i++) {
      const [from, at] = [map.source[Math.floor(i / childSize)], i % childSize];
      if (from < 0) continue;
      add(at < map.size ? `${from}:${at}` : "zero", i);
    }
  }
  return [...groups.values()].filter((group) => group.length > 1);
}

function shifted<T extends Rows>(rows: T, by: Float64Array): T {
  for (let i = 0; i < rows.length; i++) rows[i] += by[i % by.length];
  return rows;
}

/** Each row times the transpose of M [nOut, nIn]; zeros of M cost nothing. */
function multiply<T extends Rows>(rows: T, M: Float64Array, nIn: number, nOut: number): T {
  const n = rows.length / nIn;
  if (!Number.isInteger(n)) {
    throw new Error(`internal: ${rows.length} numbers are no rows of ${nIn}`);
  }
  const out = likewise(rows, n * nOut);
  for (let j = 0; j < nOut; j++) {
    const index: number[] = [];
    for (let i = 0; i < nIn; i++) if (M[j * nIn + i] !== 0) index.push(i);
    const used = Int32Array.from(index);
    const value = Float64Array.from(index, (i) => M[j * nIn + i]);
    for (let row = 0; row < n; row++) {
      let total = 0;
      for (let s = 0; s < used.length; s++) total += value[s] * rows[row * nIn + used[s]];
      out[row * nOut + j] = total;
    }
  }
  return out;
}

function select<T extends Rows>(rows: T, map: SelectionMap, weight: (block: number) => number): T {
  const { source, size, nParent } = map;
  const childSize = childSizeOf(map);
  const n = rows.length / (nParent * size);
  const out = likewise(rows, n * source.length * childSize);
  for (let row = 0; row < n; row++) {
    for (let j = 0; j < source.length; j++) {
      if (source[j] < 0) continue;
      const from = (row * nParent + source[j]) * size;
      const to = (row * source.length + j) * childSize;
      for (let i = 0; i < size; i++) out[to + i] = weight(source[j]) * rows[from + i];
    }
  }
  return out;
}

function averageCopies<T extends Rows>(rows: T, map: SelectionMap): T {
  const { source, size, nParent } = map;
  const copies = countCopies(map);
  const childSize = childSizeOf(map);
  const n = rows.length / (source.length * childSize);
  const out = likewise(rows, n * nParent * size);
  const total = new Float64Array(nParent * size);
  for (let row = 0; row < n; row++) {
    total.fill(0);
    for (let j = 0; j < source.length; j++) {
      if (source[j] < 0) continue;
      const from = (row * source.length + j) * childSize;
      for (let i = 0; i < size; i++) {
        total[source[j] * size + i] += rows[from + i] / copies[source[j]];
      }
    }
    out.set(total, row * nParent * size);
  }
  return out;
}

function childSizeOf({ size, childSize = size }: SelectionMap): number {
  return childSize;
}

function countCopies({ source, nParent }: SelectionMap): Int32Array {
  const copies = new Int32Array(nParent);
  for (const block of source) if (block >= 0) copies[block]++;
  return copies;
}

/** The transpose of M [nRow, nCol], row-major. */
export function transposed<T extends Rows>(M: T, nRow: number, nCol: number): T {
  const out = likewise(M, M.length);
  for (let i = 0; i < nRow; i++) for (let j = 0; j < nCol; j++) out[j * nRow + i] = M[i * nCol + j];
  return out;
}

function likewise<T extends Rows>(rows: T, length: number): T {
  return (rows instanceof Float32Array ? new Float32Array(length) : new Float64Array(length)) as T;
}
