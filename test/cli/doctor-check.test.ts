// `doctor --check` passes on the backend of the tests, and sees it when any one kernel is off by a percent.
import { afterAll, describe, expect, test } from "vitest";
import { type Check, runChecks } from "../../cli/commands/doctor-check.ts";
import { type HostKernels, plainKernels, provideKernels } from "../../src/engine/host/kernels.ts";
import { tf, useBackend } from "../../src/engine/index.ts";
import { testBackend } from "../support/backend.ts";

test("every check passes, and no tensor is left behind", async () => {
  await useBackend(testBackend);
  const before = tf.memory().numTensors;
  const checks: Check[] = [];
  for await (const check of runChecks()) checks.push(check);
  expect(checks.filter(({ passed }) => !passed)).toEqual([]);
  expect(new Set(checks.map(({ name }) => name)).size).toBe(checks.length);
  expect(tf.getBackend()).toBe(testBackend.replace("-gpu", ""));
  expect(tf.memory().numTensors).toBe(before);
});

/** A kernel that does what `kernel` does, and makes the numbers that it wrote or returned a percent too large. */
function percentOff(kernel: (...args: never[]) => unknown): (...args: unknown[]) => unknown {
  return (...args) => {
    const arrays = args.flat().filter((arg): arg is Float32Array => arg instanceof Float32Array);
    const before = arrays.map((values) => values.slice());
    const result = kernel(...(args as never[]));
    for (const [i, values] of arrays.entries()) {
      if (values.every((value, j) => Object.is(value, before[i][j]))) continue;
      values.forEach((value, j) => {
        values[j] = 1.01 * value;
      });
    }
    if (result instanceof Float64Array) return result.map((value) => 1.01 * value);
    return typeof result === "number" ? 1.01 * result : result;
  };
}

async function firstFailed(): Promise<Check | undefined> {
  for await (const check of runChecks()) if (!check.passed) return check;
  return undefined;
}

describe("a kernel that is a percent off", () => {
  afterAll(() => provideKernels("cpu", plainKernels));

  const kernels = Object.entries(plainKernels).filter(([, kernel]) => typeof kernel === "function");
  test.each(kernels)("%s: a check fails", async (name, kernel) => {
    await useBackend("cpu");
    provideKernels("cpu", { ...plainKernels, [name]: percentOff(kernel) } as HostKernels);
    expect(await firstFailed()).toBeDefined();
  });
});
