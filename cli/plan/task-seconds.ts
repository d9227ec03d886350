/**
 * @file How long tasks take: operations over the share of a product's rate that tasks of a kind reach, and what is no
 * product. Shares and seconds were read off the log.jsonl of whole runs on two quiet cores (AMD Zen 4, where a product of
 * 512 × 512 × 512 reaches about 95 GFLOP/s a core natively and 28 on WebAssembly): the demo of 2026-11-23 on `native`
 * (600,000 tokens, 2 × 96 → 3 × 144), demo-wasm of the day before on `wasm`. Other backends have wasm's, a guess. Larger
 * models reach up to .85, so that the estimate is long for them. Runs overlap tasks as the scheduler does.
 */
import type { Task } from "../run/task.ts";

type Kind = Task["spec"]["kind"];

/** What a machine's processor does. */
export interface MachineRate {
  /** Operations a second of a product on one core. */
  readonly flopsPerSecond: number;
  /** The backend it was measured on. */
  readonly backend: string;
  /** Worker processes, and threads of each. */
  readonly workers: number;
  readonly threads: number;
}

const native: Readonly<Partial<Record<Kind, number>>> = {
  "language-model": 0.5,
  expand: 0.5,
  sae: 0.7,
  activations: 0.7,
  crosscoder: 0.9,
  evaluate: 0.4,
  circuits: 0.5,
};

const elsewhere: Readonly<Partial<Record<Kind, number>>> = {
  "language-model": 0.25,
  expand: 0.25,
  sae: 0.55,
  activations: 0.55,
  crosscoder: 0.6,
  evaluate: 0.35,
  circuits: 0.7,
};

/** The share of a product's rate that a kind of task reaches. */
function shareOf(kind: Kind, backend: string): number {
  return (backend === "native" ? native : elsewhere)[kind] ?? 0.5;
}

/** Seconds of one task on a quiet machine. Threads beyond one gain their square root: small steps divide badly. */
export function taskSeconds(
  kind: Kind,
  work: { readonly flops: number; readonly fixedSeconds: number },
  { flopsPerSecond, backend, threads }: MachineRate,
): number {
  const rate = flopsPerSecond * shareOf(kind, backend) * Math.sqrt(threads);
  return work.flops / rate + work.fixedSeconds;
}

/** Seconds that a comparison takes besides products: firings, resamplings and nulls of latents, arm by arm. */
export function comparisonSeconds(tokens: number, latents: number, arms: number): number {
  return tokens * latents * (2.8e-7 + 3.7e-8 * arms);
}

/** Seconds until the last task ends where `workers` take them in order, each as soon as what it needs is done. */
export function makespan(
  tasks: readonly Pick<Task, "id" | "needs">[],
  seconds: readonly number[],
  workers: number,
): number {
  const free = new Array<number>(workers).fill(0);
  const ended = new Map<string, number>();
  const left = [...tasks.keys()];
  while (left.length > 0) {
    const worker = free.indexOf(Math.min(...free));
    const readyAt = (t: number): number =>
      Math.max(0, ...tasks[t].needs.map((id) => ended.get(id) ?? Number.POSITIVE_INFINITY));
    // the first that can begin now, or the one that can begin soonest
    const now = left.find((t) => readyAt(t) <= free[worker]);
    const next = now ?? left.reduce((a, b) => (readyAt(b) < readyAt(a) ? b : a));
    const start = Math.max(free[worker], readyAt(next));
    free[worker] = start + seconds[next];
    ended.set(tasks[next].id, free[worker]);
    left.splice(left.indexOf(next), 1);
  }
  return Math.max(...free);
}

/** What an estimate rests on, in a sentence. */
export function basisOf({ flopsPerSecond, backend, workers }: MachineRate): string {
  const gflops = Math.round(flopsPerSecond / 1e9);
  const share = Math.round(100 * shareOf("language-model", backend));
  return `time is for a quiet machine: a product reaches ${gflops} GFLOP/s on a core here (${backend}, by processor time), language models ${share}% of such a rate in measured runs of the demo's size, ${workers} at a time`;
}
