/**
 * The two kinds of executor. `inProcess` runs tasks here; `workerProcess` forks a worker with a backend
 * of its own. Workers at work divide the threads among them.
 */
import { type ChildProcess, fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { setThreads } from "../../src/engine/index.ts";
import { GateError, Interrupted, RunError, UsageError } from "../../src/io/index.ts";
import type { BackendOption, ResolvedPlan } from "../plan/types.ts";
import { type Executor, sameCommand } from "./scheduler.ts";
import type { Task, TaskProgress } from "./task.ts";

/** What a plan asks of the backend, for `useBackend` here and in workers. */
export function backendOptions({ threads }: ResolvedPlan): { readonly threads?: number } {
  return threads === "auto" ? {} : { threads };
}

/** The threads of one of `parts` executors at work, where the machine or the plan has `threads`; no backend's numbers depend on it. */
export function threadsOfShare(
  { threads }: Pick<ResolvedPlan, "threads">,
  parts: number,
  cores: number = availableParallelism(),
): number {
  return Math.max(1, Math.floor((threads === "auto" ? cores : threads) / parts));
}

/** Runs tasks in this process, on the backend that is active. */
export function inProcess(runDir: string, plan: ResolvedPlan): Executor {
  let stopping = false;
  return {
    async run(task, onProgress) {
      const { runTask } = await import("./run-task.ts");
      return runTask(runDir, plan, task, onProgress, () => stopping);
    },
    share(parts) {
      setThreads(threadsOfShare(plan, parts));
    },
    stop() {
      stopping = true;
    },
    close() {},
  };
}

/** What the parent sends to a worker. */
export type ToWorker =
  | {
      readonly type: "start";
      readonly runDir: string;
      readonly plan: ResolvedPlan;
      readonly backend: BackendOption;
    }
  | { readonly type: "run"; readonly task: Task }
  | { readonly type: "threads"; readonly threads: number }
  | { readonly type: "stop" };

/** What a worker sends back. */
export type FromWorker =
  | { readonly type: "progress"; readonly progress: TaskProgress }
  | { readonly type: "done"; readonly outputs: string[] }
  | { readonly type: "failed"; readonly error: PlainError };

/** An error that can cross a process boundary. */
export interface PlainError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  readonly problem?: {
    readonly code: string;
    readonly where: string;
    readonly expected: string;
    readonly got: string;
    readonly hint?: string;
  };
}

/** Runs tasks in a forked process. The process ends when this one does, however it ends. */
export function workerProcess(
  runDir: string,
  plan: ResolvedPlan,
  backend: BackendOption,
): Executor {
  let child: ChildProcess | undefined;
  const start = (): ChildProcess => {
    const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const entry = fileURLToPath(new URL(`./worker.${extension}`, import.meta.url));
    const worker = fork(entry, { stdio: ["ignore", "ignore", "inherit", "ipc"] });
    worker.send({ type: "start", runDir, plan, backend } satisfies ToWorker);
    return worker;
  };
  return {
    run(task, onProgress) {
      // a worker that died while it had nothing to do is replaced
      if (!child?.connected) child = start();
      const worker = child;
      return new Promise<string[]>((resolve, reject) => {
        const onMessage = (message: FromWorker): void => {
          if (message.type === "progress") {
            onProgress(message.progress);
            return;
          }
          worker.off("message", onMessage);
          worker.off("exit", onExit);
          if (message.type === "done") resolve(message.outputs);
          else reject(revive(message.error));
        };
        const onExit = (code: number | null, signalName: string | null): void => {
          child = undefined;
          reject(
            new RunError({
              code: "worker-died",
              where: task.id,
              expected: "the worker process to finish its task",
              got: signalName ? `it was ended by ${signalName}` : `it exited with ${code}`,
              hint: "Finished work is kept; the same command goes on.",
            }),
          );
        };
        worker.on("message", onMessage);
        worker.on("exit", onExit);
        worker.send({ type: "run", task } satisfies ToWorker);
      });
    },
    share(parts) {
      const threads = threadsOfShare(plan, parts);
      if (child?.connected) child.send({ type: "threads", threads } satisfies ToWorker);
    },
    stop() {
      if (child?.connected) child.send({ type: "stop" } satisfies ToWorker);
    },
    close() {
      child?.removeAllListeners();
      child?.kill();
    },
  };
}

/** An error as plain data. */
export function plainError(error: unknown): PlainError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const plain = { name: error.name, message: error.message, stack: error.stack };
  if (error instanceof UsageError || error instanceof RunError || error instanceof GateError) {
    const { code, where, expected, got, hint } = error;
    return {
      ...plain,
      problem: { code, where, expected, got, ...(hint === undefined ? {} : { hint }) },
    };
  }
  return plain;
}

function revive({ name, message, stack, problem }: PlainError): Error {
  if (name === "Interrupted") return new Interrupted(sameCommand);
  if (problem) {
    if (name === "UsageError") return new UsageError(problem);
    if (name === "GateError") return new GateError(problem);
    return new RunError(problem);
  }
  const error = new Error(message);
  if (stack) error.stack = stack;
  return error;
}
