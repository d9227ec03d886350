/**
 * Rotary position embedding (Su et al. 2021) in the half-split form of GPT-NeoX and Llama (`rotate_half`): of the
 * first 2·F numbers of a head, number i pairs with number i + F and turns by position · frequency i. What lies
 * past 2·F stays as it is (partial rotary). Positions count from 0.
 */

/** How the queries and keys of a head turn with their position. */
export interface Rotary {
  /** Radians a position for each pair of numbers, [F]; 2·F is at most the width of a head. */
  readonly frequencies: readonly number[];
}

/** theta^(−2i/dims) for i < dims/2: the usual frequencies over the first `dims` (even) numbers of a head. */
export function rotary(dims: number, theta = 10_000): Rotary {
  return {
    frequencies: Array.from({ length: dims / 2 }, (_, i) => theta ** ((-2 * i) / dims)),
  };
}

/** Cosines and then sines of every position's angles. */
export interface RotaryTable {
  readonly cos: Float32Array; // [T, F]
  readonly sin: Float32Array; // [T, F]
}

const tables = new WeakMap<Rotary, Map<number, RotaryTable>>();

/** The table of `context` positions; kept as long as `rotary` is. */
export function rotaryTable(rotary: Rotary, context: number): RotaryTable {
  const known = tables.get(rotary) ?? new Map<number, RotaryTable>();
  tables.set(rotary, known);
  const found = known.get(context);
  if (found) return found;
  const { frequencies } = rotary;
  const angle = (at: number): number =>
    Math.floor(at / frequencies.length) * frequencies[at % frequencies.length];
  const length = context * frequencies.length;
  const table = {
    cos: Float32Array.from({ length }, (_, at) => Math.cos(angle(at))),
    sin: Float32Array.from({ length }, (_, at) => Math.sin(angle(at))),
  };
  known.set(context, table);
  return table;
}
