// What a task's body is given: streams by name, and a state whose metrics are rewound with it.
import { existsSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { resolvePlan } from "../../../cli/plan/index.ts";
import type { Task, TaskProgress } from "../../../cli/run/task.ts";
import { metricsPart, TaskContext } from "../../../cli/run/task-context.ts";
import {
  type HostTensor,
  Interrupted,
  RunError,
  readJsonl,
  UsageError,
  writeSafetensors,
} from "../../../src/io/index.ts";
import { temporaryFolder } from "../../support/folder.ts";

const run = temporaryFolder();

const plan = resolvePlan({ seed: 7 }, "/", "plan.yaml");
const task: Task = {
  id: "01-wider/sae",
  stage: 1,
  title: "SAE",
  needs: [],
  cost: 1,
  spec: { kind: "evaluate", stage: 1 },
};
const statePath = (): string => run(".work", task.id, "state.safetensors");

function context({
  tell = (_: TaskProgress): void => {},
  stopping = (): boolean => false,
  of = plan,
} = {}): TaskContext {
  return new TaskContext(run(), of, task, tell, stopping);
}

const tensors = (value: number): Map<string, HostTensor> =>
  new Map([["w", { shape: [1], data: Float32Array.of(value) }]]);
const lines = (): unknown[] => readJsonl(run(metricsPart(task.id)));

test("paths are the run's, progress is passed on", () => {
  const told: TaskProgress[] = [];
  const own = context({ tell: (progress) => void told.push(progress) });
  expect(own.path("data", "corpus.json")).toBe(run("data", "corpus.json"));
  own.progress(0.25, { loss: 3 });
  own.progress(1);
  expect(told).toEqual([
    { fraction: 0.25, figures: { loss: 3 } },
    { fraction: 1, figures: {} },
  ]);
});

test("a stream is named by the seed and the label, and by nothing else", () => {
  const first = (of: TaskContext, label: string): number => of.rng(label).next();
  expect(first(context(), "init")).toBe(first(context(), "init"));
  expect(first(context(), "init")).not.toBe(first(context(), "other"));
  expect(first(context({ of: { ...plan, seed: 8 } }), "init")).not.toBe(first(context(), "init"));
});

test("a task that was never interrupted begins with nothing, and leaves its metrics and no state", () => {
  const own = context();
  expect(own.begin()).toBeNull();
  own.logMetrics({ step: 1, loss: Number.NaN });
  own.save(tensors(1), {});
  own.finish();
  expect(lines()).toEqual([{ step: 1, loss: null }]);
  expect(existsSync(statePath())).toBe(false);
});

test("what a killed attempt logged after its last save is cut off when the state is taken up again", () => {
  const killed = context();
  killed.begin();
  killed.logMetrics({ step: 1 });
  killed.logMetrics({ step: 2 });
  killed.save(tensors(2), { step: "2" });
  killed.logMetrics({ step: 3 });
  killed.logMetrics({ step: 4 });
  // killed here
  const again = context();
  const saved = again.begin();
  expect(saved?.metadata).toMatchObject({ step: "2" });
  expect(saved?.tensors.get("w")?.data).toEqual(Float32Array.of(2));
  expect(lines()).toEqual([{ step: 1 }, { step: 2 }]);
  again.logMetrics({ step: 3 });
  again.finish();
  expect(lines()).toEqual([{ step: 1 }, { step: 2 }, { step: 3 }]);
});

test("an attempt that was killed before its first save is begun again, its metrics with it", () => {
  const killed = context();
  killed.begin();
  killed.logMetrics({ step: 1 });
  const again = context();
  expect(again.begin()).toBeNull();
  expect(lines()).toEqual([]);
  again.finish();
});

test("a finished task that is done again, for it was not recorded, begins from nothing", () => {
  const first = context();
  first.begin();
  first.logMetrics({ step: 1 });
  first.save(tensors(1), {});
  first.finish();
  const again = context();
  expect(again.begin()).toBeNull();
  expect(lines()).toEqual([]);
  again.finish();
});

test("damaged states are named: another file, a cut one, metrics shorter than they were", () => {
  const first = context();
  first.begin();
  first.logMetrics({ step: 1 });
  first.save(tensors(1), {});
  const whole = readFileSync(statePath());
  truncateSync(run(metricsPart(task.id)), 3);
  expect(() => context().begin()).toThrow(RunError);
  truncateSync(statePath(), whole.length - 2);
  expect(() => context().begin()).toThrow(UsageError);
  expect(() => context().begin()).toThrow(statePath());
  writeSafetensors(statePath(), tensors(1), {});
  expect(() => context().begin()).toThrow(UsageError);
  expect(() => context().begin()).toThrow(/Delete it/);
  writeFileSync(statePath(), "");
  expect(() => context().begin()).toThrow(UsageError);
});

test("nothing is logged or saved before the task has begun, or after it has finished", () => {
  const own = context();
  expect(() => own.logMetrics({ step: 1 })).toThrow("internal: the task has not begun");
  expect(() => own.save(tensors(1), {})).toThrow("internal: the task has not begun");
  own.begin();
  own.finish();
  expect(() => own.logMetrics({ step: 1 })).toThrow("internal: the task has not begun");
});

test("breathing lets messages in, saves nothing before its time, and saves once when asked to stop", async () => {
  let asked = false;
  let saves = 0;
  const own = context({ stopping: () => asked });
  const save = async (): Promise<void> => {
    saves += 1;
  };
  // a message: seen during the breath, not before it
  setImmediate(() => {
    asked = true;
  });
  await expect(own.breathe(save)).rejects.toThrow(Interrupted);
  expect(saves).toBe(1);
  asked = false;
  await own.breathe(save);
  expect(saves).toBe(1);
});
