/**
 * The three tasks, measured on a model: m(M) on the clean prompts, m(∅) on the corrupted ones, the
 * standard error of their paired difference. A model does a task when m(M) − m(∅) is at least three
 * standard errors above zero; the first that it does is the one whose circuit is looked for.
 */
import type { Rng } from "../../src/engine/index.ts";
import { type CircuitModel, record } from "../circuit-model.ts";
import { effect, mean, requiredErrors } from "../statistics.ts";
import { bigramPrompts } from "./bigrams.ts";
import { inductionPrompts } from "./induction.ts";
import type { NotApplicable, PromptSet, TaskName, TaskSource } from "./prompts.ts";
import { quotePrompts } from "./quotes.ts";

/** How a model does on one task; numbers are null where the task is not applicable. */
export interface TaskFigures {
  readonly task: TaskName;
  readonly applicable: boolean;
  /** Why it is not applicable. */
  readonly reason: string | null;
  readonly n: number;
  readonly m_full: number | null;
  readonly m_empty: number | null;
  readonly difference: number | null;
  /** Of the difference, paired by prompt. */
  readonly se: number | null;
  /** m(M) − m(∅) ≥ 3 se. */
  readonly done: boolean;
}

/** n prompts of every task, in the order in which they are tried. The same source and rng give the same prompts. */
export function buildTasks(source: TaskSource, n: number, rng: Rng): (PromptSet | NotApplicable)[] {
  return [
    inductionPrompts(source, n, rng.fork("induction")),
    bigramPrompts(source, n, rng.fork("bigram")),
    quotePrompts(source, n, rng.fork("quote")),
  ];
}

/** The figures of one task on a model. */
export function measureTask(model: CircuitModel, task: PromptSet | NotApplicable): TaskFigures {
  if ("reason" in task) {
    const none = { n: 0, m_full: null, m_empty: null, difference: null, se: null, done: false };
    return { task: task.task, applicable: false, reason: task.reason, ...none };
  }
  const full = record(model, task.clean, task, null).metric;
  const empty = record(model, task.corrupted, task, null).metric;
  const { difference, se } = effect(full, empty);
  return {
    task: task.task,
    applicable: true,
    reason: null,
    n: task.n,
    m_full: mean(full),
    m_empty: mean(empty),
    difference,
    se,
    done: difference > 0 && difference >= requiredErrors * se,
  };
}

/** The first task that the model does; null when it does none. */
export function chooseTask(figures: readonly TaskFigures[]): TaskName | null {
  return figures.find((figure) => figure.done)?.task ?? null;
}
