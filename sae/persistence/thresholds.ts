// The thresholds of one comparison: τ = max(floor, 99th percentile of a null measured on the carried
// arm). One set serves every arm, so that shares and verdicts differ by what the arms are and not by
// how they were judged. The correlation's τ is each latent's own, by its firing-frequency bin.
import type { Rng } from "../../src/engine/index.ts";
import type { Directions } from "./cosine.ts";
import { directionNull } from "./direction-null.ts";
import type { Side } from "./function-matches.ts";
import type { PersistenceOptions } from "./input.ts";
import { quantile } from "./quantile.ts";
import { type ShiftNull, shiftNull } from "./shift-null.ts";

/** Thresholds and the nulls they come from. */
export interface Thresholds {
  /** τ of correlation of each parent latent. */
  readonly tau: Float64Array; // [nParent]
  /** The largest τ and 99th percentile over the bins; NaN for the latter without eligible latents. */
  readonly correlation: number;
  readonly correlationNull: number;
  readonly shifts: ShiftNull;
  readonly cosine: number;
  /** NaN without a frame. */
  readonly cosineNull: number;
  readonly cosineDraws: Float64Array;
}

/** Measures both nulls. `mapped` is the parent's decoder in the child's frame, null without one. */
export function measureThresholds(
  parent: Side,
  child: Side,
  mapped: Directions | null,
  decoder: Directions,
  sequenceLength: number | Int32Array,
  options: PersistenceOptions,
  rng: Rng,
): Thresholds {
  const { correlationFloor, cosineFloor, shiftDraws } = options;
  const shifts = shiftNull(
    parent.firings,
    child.firings,
    child.codes,
    parent.eligible,
    rng.fork("shift-null"),
    { draws: shiftDraws, sequenceLength: longest(sequenceLength) },
  );
  const correlationNull =
    shifts.bins.length === 0 ? Number.NaN : Math.max(...shifts.bins.map(({ p99 }) => p99));
  const eligible = Array.from(parent.eligible.keys()).filter((i) => parent.eligible[i] === 1);
  const cosineDraws =
    mapped === null
      ? new Float64Array(0)
      : directionNull(mapped, eligible, decoder, rng.fork("direction-null"));
  const cosineNull = quantile(cosineDraws, 0.99);
  return {
    tau: Float64Array.from(shifts.binOf, (bin) =>
      Math.max(correlationFloor, bin < 0 ? 0 : shifts.bins[bin].p99),
    ),
    correlation: atLeast(correlationFloor, correlationNull),
    correlationNull,
    shifts,
    cosine: atLeast(cosineFloor, cosineNull),
    cosineNull,
    cosineDraws,
  };
}

function atLeast(floor: number, null99: number): number {
  return Number.isNaN(null99) ? floor : Math.max(floor, null99);
}

/** Rows of the longest sequence. */
export function longest(sequenceLength: number | Int32Array): number {
  return typeof sequenceLength === "number"
    ? sequenceLength
    : sequenceLength.reduce((most, length) => Math.max(most, length), 0);
}
