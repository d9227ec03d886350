// The null of the search for parts: the same greedy search on wholes that were moved along the token
// stream (shift-null.ts), pooled by firing frequency. Where no set of parts passes the gates of the
// search, the gain is 0, so a null that never passes them has a 99th percentile of 0 and the floor of
// .1 governs. Dense latents contain others by chance; there the null is above 0.
import type { Rng } from "../../src/engine/index.ts";
import type { LevelledFirings } from "./containment.ts";
import type { PartPool, PartRule } from "./part-search.ts";
import { partFinder } from "./part-search.ts";
import { type ShiftNull, shuffledNull } from "./shift-null.ts";

/** Options of {@link partNull}. */
export interface PartNullOptions {
  /** Draws per firing-frequency bin. */
  readonly draws: number;
  /** Shifts stay at least this far from the alignment. */
  readonly sequenceLength: number;
}

/** Gains of shuffled wholes (`eligible`) over the pool, by bin. */
export function partNull(
  wholes: LevelledFirings,
  eligible: Uint8Array,
  pool: PartPool,
  rule: PartRule,
  rng: Rng,
  options: PartNullOptions,
): ShiftNull {
  const find = partFinder(pool, rule);
  return shuffledNull(wholes, eligible, rng, options, (drawn, shifts) =>
    Float64Array.from(drawn, (latent, at) => {
      const set = find({ whole: wholes, latent, allowed: () => true, shift: shifts[at] });
      return set === null ? 0 : Math.max(0, set.gain);
    }),
  );
}

/** τ of the gain for a whole with so many firings: max(floor, 99th percentile of its bin's null). */
export function gainThreshold({ bins }: ShiftNull, firings: number, floor: number): number {
  const bin = bins.findLast(({ firings: [fewest] }) => fewest <= firings) ?? bins[0];
  return bin === undefined ? floor : Math.max(floor, bin.p99);
}
