// A benchmark through real processes: both sides load, prepare, agree, and take turns.
import { describe, expect, test } from "vitest";
import type { BenchCase } from "../../bench/cases.ts";
import type { BenchLine } from "../../bench/harness/line.ts";
import type { MeasureOptions } from "../../bench/harness/measure.ts";
import { compiled } from "../support/compiled.ts";

const bench = compiled("bench");

interface MeasureModule {
  measureCase(bench: BenchCase, options: MeasureOptions): Promise<BenchLine[]>;
}

const dump: BenchCase = {
  name: "dump-tiny",
  task: "dump",
  unit: "MB/s",
  amount: 4 * 8 * 16 * 2,
  sizes: { width: 8, rows: 16, batches: 2 },
  peers: [
    { name: "raw file", side: "node", variant: "raw" },
    { name: "pyarrow", side: "python", variant: "pyarrow" },
  ],
};

async function measure(
  what: BenchCase,
  told: string[] = [],
  python: string | null = null,
): Promise<BenchLine[]> {
  const url = new URL("harness/measure.js", bench()).href;
  const { measureCase } = (await import(/* @vite-ignore */ url)) as MeasureModule;
  return measureCase(what, {
    threads: 1,
    backend: "wasm",
    rounds: [2, 2],
    seconds: 0,
    blockSeconds: 0.001,
    python,
    progress: (text) => told.push(text),
  });
}

describe("measureCase", () => {
  test("gives a line for each peer that can be had, with what was measured", async () => {
    const told: string[] = [];
    const lines = await measure(dump, told);
    expect(lines).toHaveLength(1); // no Python here
    const [line] = lines;
    expect(line).toMatchObject({
      name: "dump-tiny",
      peer_name: "raw file",
      peer_version: `Node ${process.versions.node}`,
      unit: "MB/s",
      repeats: 2,
      threads: 1,
      backend: "wasm",
      sizes: dump.sizes,
      loss_error: null,
    });
    for (const value of [line.ours, line.peer, line.ratio, ...line.spread]) {
      expect(value).toBeGreaterThan(0);
      expect(value).toBeLessThan(Number.POSITIVE_INFINITY);
    }
    expect(told).toContain("dump-tiny: round 2 of 2");
  });

  test("fails where losses that should agree can't be shown to", async () => {
    const peers = [{ ...dump.peers[0], agrees: true }]; // a dump has no losses
    await expect(measure({ ...dump, peers })).rejects.toThrow(
      "dump-tiny: the first losses should be raw file's",
    );
  });

  test("a task that fails ends the benchmark with its error", async () => {
    await expect(measure({ ...dump, task: "expand" })).rejects.toThrow(
      /^ours: UsageError: model: n_head/,
    );
  });

  test("a side that cannot run ends the benchmark with its error", async () => {
    const missing = { ...dump, peers: [{ name: "gone", side: "python", variant: "x" } as const] };
    await expect(measure(missing, [], "/nowhere/python")).rejects.toThrow(/gone: .*ENOENT/);
  });
});
