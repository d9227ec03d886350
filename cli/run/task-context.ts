/** What a task's body is given: where the run is, what the plan says, and how to tell of progress or learn of a stop. */
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { createRng, type Rng } from "../../src/engine/index.ts";
import {
  type HostTensor,
  Interrupted,
  JsonlLog,
  readSafetensors,
  UsageError,
  writeSafetensors,
} from "../../src/io/index.ts";
import type { ResolvedPlan } from "../plan/types.ts";
import { workDir } from "./layout.ts";
import { sameCommand } from "./scheduler.ts";
import type { Task, TaskProgress } from "./task.ts";

/** One line of metrics.jsonl. */
export type MetricsLine = Readonly<Record<string, string | number | null>>;

/** What an interrupted attempt left. */
export interface SavedState {
  readonly tensors: ReadonlyMap<string, HostTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Seconds between two saves of a task's state. */
const saveEverySeconds = 20;

/** The surroundings of one running task. */
export class TaskContext {
  readonly runDir: string;
  readonly plan: ResolvedPlan;
  readonly task: Task;
  readonly #tell: (progress: TaskProgress) => void;
  readonly #stopping: () => boolean;
  #lastSave: number = performance.now();
  #fraction = 0;
  #metrics: JsonlLog | undefined;

  constructor(
    runDir: string,
    plan: ResolvedPlan,
    task: Task,
    tell: (progress: TaskProgress) => void,
    stopping: () => boolean,
  ) {
    this.runDir = runDir;
    this.plan = plan;
    this.task = task;
    this.#tell = tell;
    this.#stopping = stopping;
  }

  /** An absolute path of something in the run. */
  path(...parts: string[]): string {
    return join(this.runDir, ...parts);
  }

  /** The stream of random numbers called `label`, the same wherever and whenever it is asked for. */
  rng(label: string): Rng {
    return createRng(`seed ${this.plan.seed}`).fork(label);
  }

  /** Tells how far the task is. */
  progress(fraction: number, figures: Readonly<Record<string, number>> = {}): void {
    this.#fraction = fraction;
    this.#tell({ fraction, figures });
  }

  /** Says something in the run's log: what a reader of the plan would not expect. */
  note(text: string): void {
    this.#tell({ fraction: this.#fraction, figures: {}, note: text });
  }

  /**
   * To be awaited between steps: saves through `save` when it is time to, and when a stop was asked
   * for. Errors: Interrupted after the save in the latter case.
   */
  async breathe(save: () => Promise<void>): Promise<void> {
    const stop = await this.#isStopAsked();
    if (stop || performance.now() - this.#lastSave > saveEverySeconds * 1000) {
      await save();
      this.#lastSave = performance.now();
    }
    if (stop) throw new Interrupted(sameCommand);
  }

  /** To be awaited between parts of a measurement, which has nothing to save. Errors: Interrupted when a stop was asked for. */
  async pause(): Promise<void> {
    if (await this.#isStopAsked()) throw new Interrupted(sameCommand);
  }

  /**
   * The state that an interrupted attempt left, or null; opens this task's share of metrics.jsonl, cut
   * back to where that state was saved. To be called once, before anything is logged.
   */
  begin(): SavedState | null {
    const path = this.#statePath;
    const saved = existsSync(path) ? readSafetensors(path) : null;
    const bytes = saved === null ? 0 : Number(saved.metadata.metrics_bytes);
    if (!Number.isInteger(bytes)) {
      throw new UsageError({
        code: "bad-state",
        where: path,
        expected: "the saved state of a task",
        got: "a file without its metadata",
        hint: "Delete it: the task then begins again.",
      });
    }
    this.#metrics = new JsonlLog(this.path(metricsPart(this.task.id)), { keep: bytes });
    return saved;
  }

  /** Saves the state of the unfinished task, the length of its metrics with it. */
  save(tensors: ReadonlyMap<string, HostTensor>, metadata: Record<string, string>): void {
    this.#stopping(); // ends a worker that has lost its parent
    const log = this.#openMetrics;
    log.flush();
    mkdirSync(dirname(this.#statePath), { recursive: true });
    writeSafetensors(this.#statePath, tensors, { ...metadata, metrics_bytes: String(log.bytes) });
  }

  /** Adds a line to this task's share of metrics.jsonl. */
  logMetrics(line: MetricsLine): void {
    this.#stopping();
    this.#openMetrics.append(line);
  }

  /** Ends the logging and forgets the state: the task is done. */
  finish(): void {
    this.#stopping();
    this.#openMetrics.flush();
    this.#openMetrics.close();
    this.#metrics = undefined;
    rmSync(this.#statePath, { force: true });
  }

  async #isStopAsked(): Promise<boolean> {
    // lets messages (a stop) in; the work itself may never leave the microtask queue
    await new Promise((resolve) => setImmediate(resolve));
    return this.#stopping();
  }

  get #openMetrics(): JsonlLog {
    if (!this.#metrics) throw new Error("internal: the task has not begun");
    return this.#metrics;
  }

  get #statePath(): string {
    return this.path(workDir, this.task.id, "state.safetensors");
  }
}

/** A task's share of metrics.jsonl, relative to the run. */
export function metricsPart(taskId: string): string {
  return `${workDir}/${taskId}/metrics.jsonl`;
}
