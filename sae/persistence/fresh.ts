// Reappearance in SAEs trained afresh with other seeds: the witness that owes nothing to a carried
// dictionary (methods.md §4). Found in a fresh SAE = a function match there, by the same rule.

/** For each unit, the share of fresh SAEs that found it; null when there is none to ask. */
export function reappearance(found: readonly Uint8Array[]): Float64Array | null {
  if (found.length === 0) return null;
  return Float64Array.from(found[0], (_, unit) => {
    let times = 0;
    for (const seed of found) times += seed[unit];
    return times / found.length;
  });
}
