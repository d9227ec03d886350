// What is held in memory, on any machine: V8 lets some 64 MB of dead buffers pile up before it collects, and more where
// the machine is busy, so resident memory at one moment, or its peak, tells of that as much as of what is held.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");

/** Collects garbage at once, and the dead buffers with it. */
export function collectGarbage(): void {
  const collect = runInNewContext("gc") as () => void;
  collect();
  collect(); // buffers are freed beside the program; the second call waits for that
}

/** Bytes of JavaScript objects and of buffers that something still refers to. */
export function heldBytes(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/**
 * MiB by which resident memory grows while `steps` steps are made, garbage collected: the least growth from one such
 * window to the next, of four. What is lost in every step grows in every window; a reserve that V8 or an allocator
 * takes grows once. Ends with the first window that grows by less than `enough`.
 */
export async function residentGrowth(
  steps: number,
  step: () => Promise<void> | void,
  enough: number,
): Promise<number> {
  let least = Infinity;
  let before = await lowestResident(steps, step);
  for (let window = 1; window < 4 && least >= enough; window++) {
    const after = await lowestResident(steps, step);
    least = Math.min(least, after - before);
    before = after;
  }
  return least;
}

/** Lowest resident memory in MiB, garbage collected, seen while `steps` steps are made in eight parts. */
async function lowestResident(steps: number, step: () => Promise<void> | void): Promise<number> {
  let least = Infinity;
  for (let part = 0; part < 8; part++) {
    for (let i = 0; i < steps / 8; i++) await step();
    collectGarbage();
    least = Math.min(least, process.memoryUsage.rss() / 2 ** 20);
  }
  return least;
}
