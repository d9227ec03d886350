/**
 * A run from its plan: takes the lock, stores the plan, does the tasks that are not done yet on one or
 * more processes, and records each in the manifest as it ends. Stopped at any moment, the same call
 * goes on and ends with the same bytes.
 */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type BackendChoice,
  type BackendName,
  defaultWorkers,
  useBackend,
} from "../../src/engine/index.ts";
import {
  acquireLock,
  changedArtefacts,
  GateError,
  Interrupted,
  JsonlLog,
  type ManifestStage,
  type RunManifest,
  readManifest,
  UsageError,
  withArtefacts,
  writeFileAtomic,
  writeManifest,
} from "../../src/io/index.ts";
import { asBegun, checkAgainstStored, readStoredPlan, writePlan } from "../plan/index.ts";
import type { ResolvedPlan } from "../plan/types.ts";
import type { Progress } from "../progress.ts";
import { interruption } from "../signals.ts";
import { packageVersion } from "../version.ts";
import { backendOptions, inProcess, workerProcess } from "./executors.ts";
import { taskGraph } from "./graph.ts";
import { stageCount, stageName } from "./layout.ts";
import { type Executor, schedule } from "./scheduler.ts";
import type { Task, TaskProgress } from "./task.ts";
import { metricsPart } from "./task-context.ts";
import { gatesPath, readGates } from "./tasks/gates.ts";

/** How a plan is run. */
export interface RunOptions {
  readonly runDir: string;
  /** Only the base stage. */
  readonly only?: "train";
  /** Shows progress and keeps log lines on stderr. */
  readonly progress: Progress;
  /** The command that goes on after an interruption. */
  readonly resume: string;
}

/** How a run ended, when it did not fail. */
export interface RunResult {
  /** Tasks done by this call. */
  readonly done: number;
}

const metricsFile = "metrics.jsonl";

/**
 * Runs `plan` in `runDir`. Errors: UsageError (locked, another plan, changed artefacts), RunError,
 * GateError once everything before the failed gate is done, Interrupted with the state saved.
 */
export async function runPlan(plan: ResolvedPlan, options: RunOptions): Promise<RunResult> {
  const { runDir, only, progress } = options;
  mkdirSync(runDir, { recursive: true });
  const lock = acquireLock(runDir);
  try {
    const stored = await readStoredPlan(runDir);
    if (stored) checkAgainstStored(stored, plan, runDir);
    const former = existsSync(join(runDir, "manifest.json")) ? readManifest(runDir) : null;
    const backend = await runBackend(plan, runDir, former);
    progress.log(`backend ${backend.name}: ${backend.reason}`);
    if (former) checkArtefacts(former, runDir);
    let manifest: RunManifest = {
      ...(former ?? newManifest(plan)),
      backend:
        former && isBegun(former)
          ? former.backend
          : { name: backend.name, versions: backend.versions },
    };
    writePlan(runDir, stored ? asBegun(plan, stored) : plan);
    writeManifest(runDir, manifest);

    const tasks = taskGraph(plan, only);
    const done = finishedTasks(tasks, manifest);
    // the report follows whatever is new
    if (tasks.some((task) => task.spec.kind !== "report" && !done.has(task.id)))
      done.delete("report");
    const before = new Set(done);
    for (const id of behindFailedGates(plan, runDir, tasks, done)) done.add(id);

    const wanted = plan.workers === "auto" ? defaultWorkers(backend.name) : plan.workers;
    // the report never runs beside another task
    const parallel = tasks.filter(({ spec }) => spec.kind !== "report").length;
    const workers = Math.max(1, Math.min(wanted, parallel));
    const executors: Executor[] =
      workers === 1
        ? [inProcess(runDir, plan)]
        : Array.from({ length: workers }, () => workerProcess(runDir, plan, backend.name));
    const log = new JsonlLog(join(runDir, "log.jsonl"));
    const board = new ProgressBoard(tasks, done, progress);
    let count = 0;
    try {
      await schedule(
        tasks,
        done,
        executors,
        {
          onStart(task) {
            progress.log(`${stageName(plan, task.stage)}: ${task.title}`);
          },
          onProgress(task, state) {
            if (state.note) progress.log(`${stageName(plan, task.stage)}: ${state.note}`);
            board.update(task, state);
          },
          onDone(task, outputs, seconds) {
            count += 1;
            before.add(task.id);
            board.finish(task);
            assembleMetrics(runDir, tasks, before);
            manifest = recordTask(manifest, plan, runDir, tasks, before, outputs);
            writeManifest(runDir, manifest);
            log.append({
              task: task.id,
              seconds: Math.round(seconds * 10) / 10,
              backend: backend.name,
              workers,
            });
            progress.log(
              `${stageName(plan, task.stage)}: ${task.title} done in ${seconds.toFixed(1)} s`,
            );
            return task.spec.kind === "gates" ? behindFailedGates(plan, runDir, tasks, before) : [];
          },
        },
        interruption(),
      );
    } catch (error) {
      if (error instanceof Interrupted) throw new Interrupted(options.resume);
      throw error;
    } finally {
      for (const executor of executors) executor.close();
      log.close();
    }
    refuseFailedGates(plan, runDir);
    return { done: count };
  } finally {
    lock.release();
  }
}

/** The active backend of a run: the one asked for, or under `auto` the one that began it. Errors: another one than that; unavailable. */
async function runBackend(
  plan: ResolvedPlan,
  runDir: string,
  former: RunManifest | null,
): Promise<BackendChoice> {
  const bound = former && isBegun(former) ? (former.backend.name as BackendName) : null;
  if (bound !== null && plan.backend !== "auto" && plan.backend !== bound) {
    throw new UsageError({
      code: "run-backend",
      where: runDir,
      expected: `the backend that began the run: ${bound}`,
      got: plan.backend,
      hint: `Repeat the command with --backend ${bound}, or begin a new run.`,
    });
  }
  if (plan.backend !== "auto" || bound === null) {
    return useBackend(plan.backend, backendOptions(plan));
  }
  return { ...(await useBackend(bound, backendOptions(plan))), reason: "it began the run" };
}

/** Whether a task is done, so that the run is bound to its backend. */
function isBegun({ stages }: RunManifest): boolean {
  return stages.length > 0;
}

function newManifest({ seed }: ResolvedPlan): Omit<RunManifest, "backend"> {
  return {
    format: "sae-carry/run",
    version: 1,
    tool_version: packageVersion(),
    seed,
    stages: [],
    artefacts: {},
  };
}

/** Errors: UsageError when a file that the run wrote was changed since. */
function checkArtefacts(manifest: RunManifest, runDir: string): void {
  const [changed] = changedArtefacts(
    manifest,
    runDir,
    Object.keys(manifest.artefacts).filter(
      (path) => path !== metricsFile && path !== "report.html",
    ),
  );
  if (changed === undefined) return;
  throw new UsageError({
    code: "changed-artefact",
    where: join(runDir, changed),
    expected: "the file that the run wrote",
    got: existsSync(join(runDir, changed)) ? "a changed file" : "nothing",
    hint: "Put it back, or begin a new run in another folder.",
  });
}

function finishedTasks(tasks: readonly Task[], manifest: RunManifest): Set<string> {
  const recorded = new Set<string>();
  for (const stage of manifest.stages) {
    for (const [id, state] of Object.entries(stage.tasks ?? {})) {
      if (state === "done") recorded.add(id);
    }
  }
  return new Set(tasks.map(({ id }) => id).filter((id) => recorded.has(id)));
}

/** The manifest with a task's artefacts in it. Its bytes don't depend on the order in which tasks ended. */
function recordTask(
  manifest: RunManifest,
  plan: ResolvedPlan,
  runDir: string,
  tasks: readonly Task[],
  done: ReadonlySet<string>,
  outputs: readonly string[],
): RunManifest {
  const earlier = new Map(manifest.stages.map((stage) => [stage.name, stage.tasks ?? {}]));
  const stages: ManifestStage[] = [];
  for (let index = 0; index < stageCount(plan); index++) {
    const name = stageName(plan, index);
    const own = tasks.filter((task) => task.stage === index);
    if (own.length === 0 && !earlier.has(name)) continue;
    const states = Object.fromEntries(
      own.map((task) => [task.id, done.has(task.id) ? ("done" as const) : ("pending" as const)]),
    );
    const finished = own.every((task) => done.has(task.id));
    const begun = own.some((task) => done.has(task.id));
    stages.push({
      name,
      state: finished ? "done" : begun ? "running" : "pending",
      tasks: { ...earlier.get(name), ...states },
    });
  }
  return withArtefacts({ ...manifest, stages }, runDir, [...outputs, metricsFile]);
}

/** Writes metrics.jsonl out of the shares of the tasks that are done, in the order of the graph. */
function assembleMetrics(runDir: string, tasks: readonly Task[], done: ReadonlySet<string>): void {
  const parts = tasks
    .filter((task) => done.has(task.id))
    .map((task) => join(runDir, metricsPart(task.id)))
    .filter((path) => existsSync(path))
    .map((path) => readFileSync(path, "utf8"));
  writeFileAtomic(join(runDir, metricsFile), parts.join(""));
}

/** Tasks of the stages after a gate that did not pass; the report is still made. */
function behindFailedGates(
  plan: ResolvedPlan,
  runDir: string,
  tasks: readonly Task[],
  done: ReadonlySet<string>,
): string[] {
  const failed = firstFailedGate(plan, runDir);
  if (failed === null) return [];
  return tasks
    .filter((task) => task.stage > failed && task.spec.kind !== "report" && !done.has(task.id))
    .map((task) => task.id);
}

function firstFailedGate(plan: ResolvedPlan, runDir: string): number | null {
  for (let stage = 1; stage < stageCount(plan); stage++) {
    const path = join(runDir, gatesPath(plan, stage));
    if (existsSync(path) && !readGates(path).passed) return stage;
  }
  return null;
}

function refuseFailedGates(plan: ResolvedPlan, runDir: string): void {
  const stage = firstFailedGate(plan, runDir);
  if (stage === null) return;
  const failed = readGates(join(runDir, gatesPath(plan, stage))).gates.find((gate) => !gate.passed);
  throw new GateError({
    code: "gate-failed",
    where: `stage ${stageName(plan, stage)}, gate ${failed?.kind}`,
    expected: "every gate to pass before the next expansion",
    got: failed?.message ?? "a gate that did not pass",
    hint: "Everything up to this stage is kept, and the report shows it.",
  });
}

/** How much of the whole run is done, from the tasks' costs and their own progress. */
class ProgressBoard {
  readonly #progress: Progress;
  readonly #total: number;
  readonly #running = new Map<string, number>();
  #done = 0;

  constructor(tasks: readonly Task[], done: ReadonlySet<string>, progress: Progress) {
    this.#progress = progress;
    this.#total = tasks.reduce((sum, task) => sum + task.cost, 0);
    for (const task of tasks) if (done.has(task.id)) this.#done += task.cost;
  }

  update(task: Task, { fraction, figures }: TaskProgress): void {
    this.#running.set(task.id, fraction * task.cost);
    this.#show(task.title, figures);
  }

  finish(task: Task): void {
    this.#running.delete(task.id);
    this.#done += task.cost;
    this.#show(task.title, {});
  }

  #show(label: string, fields: Readonly<Record<string, number>>): void {
    const running = [...this.#running.values()].reduce((a, b) => a + b, 0);
    this.#progress.update({ label, done: (this.#done + running) / this.#total, fields });
  }
}
