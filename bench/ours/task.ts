/** What a task on our side is: prepared once, then run in blocks of steps that are timed from outside. */

/** What was asked for, without the harness's own words. */
export interface TaskRequest {
  readonly variant: string;
  readonly sizes: Readonly<Record<string, number>>;
  /** Data for every side goes here before `prepare` resolves. */
  readonly folder: string;
}

/** Runs `count` steps; tells the losses of its steps, or other numbers that the peers' must equal. */
export type Task = (count: number) => Promise<{ readonly losses?: readonly number[] } | undefined>;

/** Readies a task. */
export type PrepareTask = (request: TaskRequest) => Promise<Task>;
