/** The worker process of a run: brings up a backend, then runs the tasks it is sent, one at a time. */
import { setThreads, useBackend } from "../../src/engine/index.ts";
import type { ResolvedPlan } from "../plan/types.ts";
import { backendOptions, type FromWorker, plainError, type ToWorker } from "./executors.ts";
import { runTask } from "./run-task.ts";
import type { Task } from "./task.ts";

const send = (message: FromWorker): void => {
  process.send?.(message);
};

let stopping = false;
let ready: Promise<unknown> = Promise.resolve();
let run: { runDir: string; plan: ResolvedPlan } | undefined;

// Ctrl-C reaches the whole process group: the parent decides, and tells us through a message.
process.on("SIGINT", () => {});
// Without a parent nobody would record what we finish, and its successor may have begun our task again.
process.on("disconnect", () => process.exit(1));
const parent = process.ppid;

/** Whether to stop; asked before anything is written, so that an orphan never writes beside its successor. */
function isStopping(): boolean {
  if (process.ppid !== parent) process.exit(1);
  return stopping;
}

process.on("message", (message: ToWorker) => {
  if (message.type === "start") {
    run = { runDir: message.runDir, plan: message.plan };
    ready = useBackend(message.backend, backendOptions(message.plan));
    // the failure is reported by the first task
    ready.catch(() => {});
  } else if (message.type === "threads") {
    // the failure to get ready is reported by the first task
    ready.then(() => setThreads(message.threads)).catch(() => {});
  } else if (message.type === "stop") {
    stopping = true;
  } else {
    void perform(message.task);
  }
});

async function perform(task: Task): Promise<void> {
  try {
    await ready;
    if (!run) throw new Error("internal: the worker was not started");
    const outputs = await runTask(
      run.runDir,
      run.plan,
      task,
      (progress) => send({ type: "progress", progress }),
      isStopping,
    );
    send({ type: "done", outputs });
  } catch (error) {
    send({ type: "failed", error: plainError(error) });
  }
}
