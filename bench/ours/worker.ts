/** Our side's process: prepares one task on a backend and runs blocks of it, one JSON document a line. */
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import type { BackendName } from "../../src/engine/index.ts";
import type { TaskOfSide } from "../harness/child.ts";
import type { PrepareTask, Task } from "./task.ts";

/** Loaded one by one: a side's memory is to be that of what its task needs. */
const tasks: Readonly<Record<string, () => Promise<PrepareTask>>> = {
  sae: async () => (await import("./sae.ts")).prepareSae,
  lm: async () => (await import("./lm.ts")).prepareLm,
  match: async () => (await import("./match.ts")).prepareMatch,
  dump: async () => (await import("./dump.ts")).prepareDump,
  expand: async () => (await import("./expand.ts")).prepareExpand,
  gemm: async () => (await import("./gemm.ts")).prepareGemm,
  start: async () => (await import("./start.ts")).prepareStart,
};

/** What runs without an engine, as its peers do. */
const plain: readonly string[] = ["dump", "start"];

type Request = ({ readonly do: "load" | "prepare" } & TaskOfSide) | { do: "run"; count: number };

let prepare: PrepareTask | undefined;
let task: Task | undefined;

async function answer(request: Request): Promise<object> {
  if (request.do === "run") {
    if (!task) throw new Error("internal: a block before anything was prepared");
    const start = performance.now();
    const figures = await task(request.count);
    return { seconds: (performance.now() - start) / 1000, ...figures };
  }
  if (request.do === "load") {
    prepare = await tasks[request.task]();
    if (!plain.includes(request.task)) {
      const { useBackend } = await import("../../src/engine/index.ts");
      await useBackend(request.backend as BackendName, { threads: request.threads });
    }
    return { version: `Node ${process.versions.node}` };
  }
  if (!prepare) throw new Error("internal: a task prepared before it was loaded");
  task = await prepare(request);
  return {};
}

for await (const line of createInterface({ input: process.stdin })) {
  let reply: object;
  try {
    reply = await answer(JSON.parse(line) as Request);
  } catch (error) {
    reply = { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
  writeSync(1, `${JSON.stringify(reply)}\n`);
}
