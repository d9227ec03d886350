/** The line that a benchmark prints for each peer, and how it comes from timings. */
import { median, quartiles } from "./statistics.ts";

/** A unit, and which way is better in it. */
export interface Unit {
  readonly name: string;
  readonly better: "lower" | "higher";
  /** From seconds a step; `amount` is what one step does, in the unit's own terms. */
  value(secondsPerStep: number, amount: number): number;
}

/** The units in use. */
export const units: Readonly<Record<"ms" | "tokens/s" | "MB/s" | "GFLOP/s", Unit>> = {
  ms: { name: "ms", better: "lower", value: (seconds) => seconds * 1000 },
  "tokens/s": { name: "tokens/s", better: "higher", value: (seconds, tokens) => tokens / seconds },
  "MB/s": { name: "MB/s", better: "higher", value: (seconds, bytes) => bytes / 1e6 / seconds },
  "GFLOP/s": { name: "GFLOP/s", better: "higher", value: (seconds, flop) => flop / 1e9 / seconds },
};

/** One printed line; `ratio` > 1 means that we are ahead. Memory in MB (10⁶ bytes), resident. */
export interface BenchLine {
  readonly name: string;
  /** Median over the rounds. */
  readonly ours: number;
  readonly peer: number;
  readonly peer_name: string;
  /** Of the library that the peer computes with. */
  readonly peer_version: string;
  readonly unit: string;
  /** Median of the rounds' own ratios, which a change of the machine's load leaves alone. */
  readonly ratio: number;
  /** Their quartiles. */
  readonly spread: readonly [number, number];
  readonly ours_spread: readonly [number, number];
  readonly peer_spread: readonly [number, number];
  /** Rounds that the peer took part in. */
  readonly repeats: number;
  /** Most memory each process ever held; `rest` is what it held before it was given the task. */
  readonly peak_mb: number | null;
  readonly peer_peak_mb: number | null;
  readonly rest_mb: number | null;
  readonly peer_rest_mb: number | null;
  /** Largest relative difference of the first steps' losses, where both sides do the same mathematics. */
  readonly loss_error: number | null;
  readonly sizes: Readonly<Record<string, number>>;
  readonly threads: number;
  readonly backend: string;
  readonly machine: string;
}

/** What was measured of one side: seconds per step in each round, and its memory. */
export interface SideTimings {
  readonly seconds: readonly number[];
  readonly peakMb: number | null;
  readonly restMb: number | null;
}

/** Everything of a line that isn't measured by the clock. */
export type LineFacts = Pick<
  BenchLine,
  "name" | "peer_name" | "peer_version" | "loss_error" | "sizes" | "threads" | "backend" | "machine"
>;

/**
 * The line of a pair of sides that took turns: round i of one stands beside round i of the other. A slow peer may
 * have taken part in the first rounds only.
 */
export function benchLine(
  facts: LineFacts,
  unit: Unit,
  amount: number,
  ours: SideTimings,
  peer: SideTimings,
): BenchLine {
  const inUnit = ({ seconds }: SideTimings): number[] => seconds.map((s) => unit.value(s, amount));
  const ratios = peer.seconds.map((seconds, i) => seconds / ours.seconds[i]);
  return {
    name: facts.name,
    ours: rounded(median(inUnit(ours))),
    peer: rounded(median(inUnit(peer))),
    peer_name: facts.peer_name,
    peer_version: facts.peer_version,
    unit: unit.name,
    ratio: rounded(median(ratios)),
    spread: pair(quartiles(ratios)),
    ours_spread: pair(quartiles(inUnit(ours))),
    peer_spread: pair(quartiles(inUnit(peer))),
    repeats: peer.seconds.length,
    peak_mb: whole(ours.peakMb),
    peer_peak_mb: whole(peer.peakMb),
    rest_mb: whole(ours.restMb),
    peer_rest_mb: whole(peer.restMb),
    loss_error: facts.loss_error,
    sizes: facts.sizes,
    threads: facts.threads,
    backend: facts.backend,
    machine: facts.machine,
  };
}

/** Four significant digits. */
function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

function pair([low, high]: [number, number]): [number, number] {
  return [rounded(low), rounded(high)];
}

function whole(value: number | null): number | null {
  return value === null ? null : Math.round(value);
}
