/**
 * One benchmark: every side in its own process, blocks of steps by turns. A block is as many steps as fill
 * about `blockSeconds`, at least one. The order turns round from round to round, so that no side always follows
 * the same other, and a side's medians come from the same rounds as the others'.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { BenchCase, Peer } from "../cases.ts";
import type { Child } from "./child.ts";
import { type BenchLine, benchLine, type SideTimings, units } from "./line.ts";
import { describeMachine } from "./machine.ts";
import { startNode, startPython } from "./sides.ts";
import { largestRelativeError } from "./statistics.ts";

/** How long and how often to measure. */
export interface MeasureOptions {
  readonly threads: number;
  readonly backend: string;
  /** Rounds at least and at most; as many between as `seconds` allow. */
  readonly rounds: readonly [number, number];
  /** About how long the rounds of one benchmark may take. */
  readonly seconds: number;
  readonly blockSeconds: number;
  /** The peers' interpreter; null to measure only against peers that need none. */
  readonly python: string | null;
  /** Told what is going on. */
  progress(text: string): void;
}

/** Losses of the first steps that must agree between sides with the same mathematics; f32 sums differ in order. */
const lossTolerance = 2e-3;

/** Steps that every side takes before the clock counts; of steps longer than `slowSeconds` one has to do. */
const warmSteps = 2;
const slowSeconds = 5;
const slowRounds = 2;

interface Side {
  readonly child: Child;
  readonly peer: Peer | null; // null: ours
  readonly restMb: number | null;
  readonly version: string;
  /** Of the warm-up steps. */
  readonly losses: readonly number[];
  /** In a block. */
  readonly steps: number;
  /** Its step takes more than `slowSeconds`: it takes part in the first `slowRounds` rounds only. */
  readonly slow: boolean;
  /** Per step, by round. */
  readonly seconds: number[];
}

/** Measures a benchmark and resolves with its lines. Errors: a side fails, or losses that should agree don't. */
export async function measureCase(bench: BenchCase, options: MeasureOptions): Promise<BenchLine[]> {
  const { threads, backend, python, progress } = options;
  const folder = mkdtempSync(join(tmpdir(), "sae-carry-bench-"));
  const peers = bench.peers.filter(({ side }) => side === "node" || python !== null);
  const ours = startNode("ours", threads);
  const children = [
    ours,
    ...peers.map(({ side, name }) =>
      side === "node" ? startNode(name, threads) : startPython(name, threads, python as string),
    ),
  ];
  try {
    progress(`${bench.name}: loading`);
    const facts = { task: bench.task, threads, backend, sizes: bench.sizes, folder };
    const requests = [null, ...peers].map((peer) => ({
      ...facts,
      variant: peer?.variant ?? "ours",
    }));
    // together: imports take seconds, and nothing is timed yet
    const loaded = await Promise.all(children.map((child, i) => child.load(requests[i])));
    const sides: Side[] = [];
    for (const [i, child] of children.entries()) {
      progress(`${bench.name}: preparing ${child.label}`);
      const restMb = child.memory()?.now ?? null;
      await child.prepare(requests[i]); // ours first: the others read its data
      const peer = i === 0 ? null : peers[i - 1];
      const warm = await warmUp(child, options.blockSeconds, peer?.variant === "compiled");
      sides.push({ child, peer, restMb, version: loaded[i].version, seconds: [], ...warm });
    }
    const errors = sides.slice(1).map((side) => lossError(bench, sides[0], side));
    await takeTurns(bench, sides, options);
    const machine = describeMachine();
    return sides.slice(1).map((side, i) => {
      const { name: peer_name } = side.peer as Peer;
      const named = { name: bench.name, peer_name, peer_version: side.version };
      const shared = { sizes: bench.sizes, threads, backend, machine, loss_error: errors[i] };
      const [own, other] = [sides[0], side].map(timings);
      return benchLine({ ...named, ...shared }, units[bench.unit], bench.amount, own, other);
    });
  } finally {
    await Promise.all(children.map((child) => child.close()));
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The first steps, whose losses are kept; the last of them says how many make a block. */
async function warmUp(
  child: Child,
  blockSeconds: number,
  compiled: boolean,
): Promise<Pick<Side, "losses" | "steps" | "slow">> {
  const losses: number[] = [];
  let seconds = 0;
  for (let i = 0; i < warmSteps; i++) {
    const block = await child.run(1);
    losses.push(...(block.losses ?? []));
    seconds = block.seconds;
    // a compiled step's first one says nothing of the next
    if (seconds > slowSeconds && !compiled) break;
  }
  const steps = Math.max(1, Math.round(blockSeconds / seconds));
  return { losses, steps, slow: seconds > slowSeconds };
}

/** How far the first losses are apart, null where they need not agree. Errors: further than rounding explains. */
function lossError(bench: BenchCase, ours: Side, { peer, losses }: Side): number | null {
  if (!peer?.agrees) return null;
  const error = largestRelativeError(ours.losses, losses);
  if (error > lossTolerance) {
    throw new Error(
      `${bench.name}: the first losses should be ${peer.name}'s ${losses.join(", ")}, got ${ours.losses.join(", ")}`,
    );
  }
  return Number(error.toPrecision(2));
}

async function takeTurns(
  bench: BenchCase,
  sides: readonly Side[],
  { rounds: [least, most], seconds, progress }: MeasureOptions,
): Promise<void> {
  let rounds = least;
  for (let round = 0; round < rounds; round++) {
    progress(`${bench.name}: round ${round + 1} of ${rounds}`);
    const start = performance.now();
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
      if (side.slow && side.peer && round >= slowRounds) continue;
      await setTimeout(30); // the last side's threads go to sleep
      const block = await side.child.run(side.steps);
      side.seconds.push(block.seconds / side.steps);
    }
    if (round === 0) {
      const fit = Math.floor((seconds * 1000) / (performance.now() - start));
      rounds = Math.min(Math.max(fit, least), most);
    }
  }
}

function timings({ child, seconds, restMb }: Side): SideTimings {
  return { seconds, restMb, peakMb: child.memory()?.peak ?? null };
}
