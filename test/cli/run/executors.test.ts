// How executors at work divide the machine's threads.
import { expect, test } from "vitest";
import { threadsOfShare } from "../../../cli/run/executors.ts";

test("executors at work divide the cores evenly, and each has one thread at least", () => {
  expect(threadsOfShare({ threads: "auto" }, 1, 6)).toBe(6);
  expect(threadsOfShare({ threads: "auto" }, 4, 6)).toBe(1);
  expect(threadsOfShare({ threads: "auto" }, 3, 6)).toBe(2);
  expect(threadsOfShare({ threads: "auto" }, 8, 2)).toBe(1);
});

test("a number of threads in the plan is divided in the place of the cores", () => {
  expect(threadsOfShare({ threads: 12 }, 4, 2)).toBe(3);
  expect(threadsOfShare({ threads: 1 }, 4, 64)).toBe(1);
});
