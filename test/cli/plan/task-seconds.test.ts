import { expect, test } from "vitest";
import { comparisonSeconds, makespan, taskSeconds } from "../../../cli/plan/task-seconds.ts";

const task = (id: string, ...needs: string[]) => ({ id, needs });

test("makespan: a chain takes the sum, independent tasks share the workers, waiting counts", () => {
  const chain = [task("a"), task("b", "a"), task("c", "b")];
  expect(makespan(chain, [1, 2, 3], 4)).toBe(6);
  const free = [task("a"), task("b"), task("c"), task("d")];
  expect(makespan(free, [4, 3, 2, 1], 1)).toBe(10);
  expect(makespan(free, [4, 3, 2, 1], 2)).toBe(5); // a then d, b then c
  // c waits for a; b runs beside a, d takes the worker that b leaves
  const mixed = [task("a"), task("b"), task("c", "a"), task("d")];
  expect(makespan(mixed, [5, 1, 2, 3], 2)).toBe(7);
});

test("makespan: with one worker the order doesn't matter", () => {
  const tasks = [task("a"), task("c", "b"), task("b", "a"), task("d")];
  expect(makespan(tasks, [1, 2, 3, 4], 1)).toBe(10);
});

test("seconds of a task: operations over its kind's share of a product's rate, and what is no product", () => {
  const machine = { flopsPerSecond: 1e9, backend: "native", workers: 1, threads: 4 };
  // half of the rate, twice as fast on four threads
  expect(taskSeconds("language-model", { flops: 3e9, fixedSeconds: 1 }, machine)).toBeCloseTo(4);
  const wasm = { ...machine, backend: "wasm", threads: 1 };
  expect(taskSeconds("language-model", { flops: 3e9, fixedSeconds: 0 }, wasm)).toBeCloseTo(12);
  expect(taskSeconds("report", { flops: 0, fixedSeconds: 2 }, machine)).toBe(2);
  // 768 latents on 50,000 tokens through 13 arms: between the demo's 25 s and 34 s
  expect(comparisonSeconds(50_000, 768, 13)).toBeCloseTo(29.2, 0);
});
