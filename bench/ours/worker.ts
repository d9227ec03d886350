/** Our side's process: prepares one task on a backend and runs blocks of it, one JSON document a line. */
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { type BackendName, useBackend } from "../../src/engine/index.ts";
import type { TaskOfSide } from "../harness/child.ts";
import { prepareDump } from "./dump.ts";
import { prepareExpand } from "./expand.ts";
import { prepareGemm } from "./gemm.ts";
import { prepareLm } from "./lm.ts";
import { prepareMatch } from "./match.ts";
import { prepareSae } from "./sae.ts";
import { prepareStart } from "./start.ts";
import type { PrepareTask, Task } from "./task.ts";

const tasks: Readonly<Record<string, PrepareTask>> = {
  sae: prepareSae,
  lm: prepareLm,
  match: prepareMatch,
  dump: prepareDump,
  expand: prepareExpand,
  gemm: prepareGemm,
  start: prepareStart,
};

type Request = ({ readonly do: "load" | "prepare" } & TaskOfSide) | { do: "run"; count: number };

let task: Task | undefined;

async function answer(request: Request): Promise<object> {
  if (request.do === "run") {
    if (!task) throw new Error("internal: a block before anything was prepared");
    const start = performance.now();
    const figures = await task(request.count);
    return { seconds: (performance.now() - start) / 1000, ...figures };
  }
  if (request.do === "load") {
    await useBackend(request.backend as BackendName, { threads: request.threads });
    return { version: `Node ${process.versions.node}` };
  }
  task = await tasks[request.task](request);
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
