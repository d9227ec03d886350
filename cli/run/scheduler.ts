/**
 * Runs a task graph on a pool of executors: whatever is ready starts, the most work behind it first,
 * as long as an executor is free. It knows nothing of files or of models.
 */
import { Interrupted } from "../../src/io/index.ts";
import type { Task, TaskProgress } from "./task.ts";

/** Stands for the command that goes on, until the caller puts in the real one. */
export const sameCommand = "the same command";

/** Something that can run one task at a time: this process, or a worker process. */
export interface Executor {
  /** Resolves with the artefacts written, relative to the run. */
  run(task: Task, onProgress: (progress: TaskProgress) => void): Promise<string[]>;
  /** Tells that it is one of `parts` executors at work, to take that share of the machine's threads. */
  share(parts: number): void;
  /** Asks the running task to save its state and to end with `Interrupted`. */
  stop(): void;
  close(): void;
}

/** What the scheduler tells while it runs. */
export interface ScheduleEvents {
  onStart(task: Task): void;
  onProgress(task: Task, progress: TaskProgress): void;
  /** Returns the tasks that need not run any more (behind a gate that did not pass). */
  onDone(task: Task, outputs: string[], seconds: number): readonly string[];
}

/**
 * Runs every task that is not in `done` (done before, or not wanted). The first failure stops the
 * others (their state is saved) and is thrown once they have ended; a stop asked for through
 * `signal` ends with `Interrupted`.
 */
export async function schedule(
  tasks: readonly Task[],
  done: ReadonlySet<string>,
  executors: readonly Executor[],
  events: ScheduleEvents,
  signal: AbortSignal,
): Promise<void> {
  const finished = new Set(done);
  const waiting = new Map(tasks.filter((task) => !finished.has(task.id)).map((t) => [t.id, t]));
  const weight = workBehind(tasks);
  const free = [...executors];
  const running = new Map<string, Promise<void>>();
  const busy = new Set<Executor>();
  let failure: unknown;

  const stopAll = (): void => {
    for (const executor of executors) executor.stop();
  };
  signal.addEventListener("abort", stopAll, { once: true });

  try {
    while (true) {
      const ready = [...waiting.values()]
        .filter((task) => task.needs.every((need) => finished.has(need)))
        .sort((a, b) => (weight.get(b.id) as number) - (weight.get(a.id) as number));
      while (failure === undefined && !signal.aborted && free.length > 0 && ready.length > 0) {
        const task = ready.shift() as Task;
        const executor = free.pop() as Executor;
        waiting.delete(task.id);
        busy.add(executor);
        const started = performance.now();
        events.onStart(task);
        const work = executor
          .run(task, (progress) => events.onProgress(task, progress))
          .then((outputs) => {
            finished.add(task.id);
            const seconds = (performance.now() - started) / 1000;
            for (const id of events.onDone(task, outputs, seconds)) {
              waiting.delete(id);
              finished.add(id);
            }
          })
          .catch((cause: unknown) => {
            // an interruption that follows from another task's failure is not the failure
            if (failure === undefined || failure instanceof Interrupted) failure = cause;
            stopAll();
          })
          .finally(() => {
            running.delete(task.id);
            busy.delete(executor);
            free.push(executor);
          });
        running.set(task.id, work);
      }
      if (running.size === 0) break;
      for (const executor of busy) executor.share(busy.size);
      await Promise.race(running.values());
    }
  } finally {
    signal.removeEventListener("abort", stopAll);
  }
  if (failure !== undefined) throw failure;
  if (signal.aborted) throw new Interrupted(sameCommand);
  if (waiting.size > 0) {
    throw new Error(`internal: tasks that can never start: ${[...waiting.keys()].join(", ")}`);
  }
}

/** For each task, its cost plus the most expensive chain of tasks that wait for it. */
function workBehind(tasks: readonly Task[]): Map<string, number> {
  const weight = new Map<string, number>();
  for (const task of [...tasks].reverse()) {
    let behind = 0;
    for (const other of tasks) {
      if (other.needs.includes(task.id)) behind = Math.max(behind, weight.get(other.id) ?? 0);
    }
    weight.set(task.id, behind + task.cost);
  }
  return weight;
}
