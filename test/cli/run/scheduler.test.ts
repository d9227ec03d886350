// The scheduler on executors that do nothing: what runs when, and how a schedule ends.
import { beforeEach, describe, expect, test } from "vitest";
import { type Executor, sameCommand, schedule } from "../../../cli/run/scheduler.ts";
import type { Task } from "../../../cli/run/task.ts";
import { Interrupted, RunError } from "../../../src/io/index.ts";

/** A task in progress on a fake executor. */
interface Running {
  readonly finish: (outputs?: string[]) => Promise<void>;
  readonly fail: (cause: Error) => Promise<void>;
}

let started: string[] = [];
let running = new Map<string, Running>();
let stops = 0;
let shares: string[] = [];

beforeEach(() => {
  started = [];
  running = new Map();
  stops = 0;
  shares = [];
});

/** Lets what was resolved have its effects. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function executors(count: number): Executor[] {
  return Array.from({ length: count }, (_, i) => ({
    share(parts) {
      shares.push(`${i}: 1/${parts}`);
    },
    run: (task) =>
      new Promise<string[]>((resolve, reject) => {
        started.push(task.id);
        const end = (act: () => void): Promise<void> => {
          running.delete(task.id);
          act();
          return settle();
        };
        running.set(task.id, {
          finish: (outputs = []) => end(() => resolve(outputs)),
          fail: (cause) => end(() => reject(cause)),
        });
      }),
    stop() {
      stops += 1;
    },
    close() {},
  }));
}

function task(id: string, needs: string[] = [], cost = 1): Task {
  return { id, stage: 0, title: id, needs, cost, spec: { kind: "data", stage: 0 } };
}

/** Starts a schedule; `ended` says how it ended. */
function start(
  tasks: readonly Task[],
  {
    workers = 1,
    done = [] as string[],
    onDone = (_: Task): readonly string[] => [],
    controller = new AbortController(),
  } = {},
) {
  const ended = schedule(
    tasks,
    new Set(done),
    executors(workers),
    { onStart() {}, onProgress() {}, onDone: (finished) => onDone(finished) },
    controller.signal,
  ).then(
    () => "done" as const,
    (error: unknown) => error,
  );
  return { ended, controller };
}

/** Finishes whatever runs, oldest first, until nothing does. */
async function finishAll(): Promise<void> {
  for (let [first] = running.values(); first !== undefined; [first] = running.values()) {
    await first.finish();
  }
}

describe("order", () => {
  test("the task with the most work behind it goes first, not the largest or the first listed", async () => {
    const tasks = [
      task("root"),
      task("large", ["root"], 50),
      task("head of a chain", ["root"], 1),
      task("middle", ["head of a chain"], 30),
      task("tail", ["middle"], 30),
      task("small", ["root"], 2),
    ];
    const { ended } = start(tasks);
    await finishAll();
    expect(await ended).toBe("done");
    expect(started).toEqual(["root", "head of a chain", "middle", "large", "tail", "small"]);
  });

  test("of several chains behind a task the longest counts, not their sum", async () => {
    const tasks = [
      task("fan", [], 1),
      task("deep", [], 1),
      ...Array.from({ length: 5 }, (_, i) => task(`leaf ${i}`, ["fan"], 4)),
      task("deeper", ["deep"], 6),
    ];
    start(tasks);
    await settle();
    expect(started).toEqual(["deep"]);
    await finishAll();
  });

  test("as many run at a time as there are executors, and only what is ready", async () => {
    const tasks = [task("a"), task("b"), task("c"), task("d", ["a", "b"])];
    const { ended } = start(tasks, { workers: 2 });
    await settle();
    expect([...running.keys()]).toEqual(["a", "b"]);
    await running.get("b")!.finish();
    expect([...running.keys()]).toEqual(["a", "c"]);
    await running.get("c")!.finish();
    // d still needs a
    expect([...running.keys()]).toEqual(["a"]);
    await running.get("a")!.finish();
    expect([...running.keys()]).toEqual(["d"]);
    await running.get("d")!.finish();
    expect(await ended).toBe("done");
  });

  test("those at work are told how many they are, whenever that changes", async () => {
    start([task("a"), task("b"), task("c", ["a"])], { workers: 2 });
    await settle();
    expect(shares.splice(0)).toEqual(["1: 1/2", "0: 1/2"]);
    await running.get("b")!.finish();
    expect(shares.splice(0)).toEqual(["1: 1/1"]);
    await running.get("a")!.finish();
    expect(shares.splice(0)).toEqual(["1: 1/1"]);
    await finishAll();
  });

  test("what was done before is not done again, and what needs it may start", async () => {
    const finished: string[] = [];
    const { ended } = start([task("a"), task("b", ["a"]), task("c", ["b"])], {
      done: ["a", "b"],
      onDone: ({ id }) => {
        finished.push(id);
        return [];
      },
    });
    await finishAll();
    expect(await ended).toBe("done");
    expect([started, finished]).toEqual([["c"], ["c"]]);
  });

  test("nothing to do ends at once", async () => {
    expect(await start([]).ended).toBe("done");
    expect(await start([task("a")], { done: ["a"] }).ended).toBe("done");
  });

  test("outputs, progress and seconds are told with their task", async () => {
    const told: unknown[] = [];
    const ended = schedule(
      [task("a")],
      new Set(),
      [
        {
          async run(_, onProgress) {
            onProgress({ fraction: 0.5, figures: { loss: 2 } });
            return ["model/config.json"];
          },
          share() {},
          stop() {},
          close() {},
        },
      ],
      {
        onStart: ({ id }) => told.push(["start", id]),
        onProgress: ({ id }, progress) => told.push([id, progress]),
        onDone: ({ id }, outputs, seconds) => {
          told.push(["done", id, outputs, seconds >= 0]);
          return [];
        },
      },
      new AbortController().signal,
    );
    await ended;
    expect(told).toEqual([
      ["start", "a"],
      ["a", { fraction: 0.5, figures: { loss: 2 } }],
      ["done", "a", ["model/config.json"], true],
    ]);
  });
});

describe("failure", () => {
  const failure = new RunError({ code: "nan-loss", where: "a", expected: "x", got: "NaN" });

  test("stops the others, starts nothing more, and is thrown once they have ended", async () => {
    const { ended } = start([task("a"), task("b"), task("c")], { workers: 2 });
    let over = false;
    void ended.then(() => {
      over = true;
    });
    await settle();
    await running.get("a")!.fail(failure);
    expect(stops).toBe(2);
    expect([started, over]).toEqual([["a", "b"], false]);
    // the stopped task ends with its state saved: that is not what went wrong
    await running.get("b")!.fail(new Interrupted(sameCommand));
    expect(await ended).toBe(failure);
    expect(started).toEqual(["a", "b"]);
  });

  test("is thrown also where an interrupted task ends first", async () => {
    const { ended, controller } = start([task("a"), task("b")], { workers: 2 });
    await settle();
    controller.abort();
    await running.get("b")!.fail(new Interrupted(sameCommand));
    await running.get("a")!.fail(failure);
    expect(await ended).toBe(failure);
  });

  test("of what is done with the result is a failure too", async () => {
    const { ended } = start([task("a"), task("b", ["a"])], {
      onDone: () => {
        throw failure;
      },
    });
    await finishAll();
    expect(await ended).toBe(failure);
    expect(started).toEqual(["a"]);
  });

  test("tasks that wait for each other or for nothing are an internal error", async () => {
    const { ended } = start([task("a", ["b"]), task("b", ["a"]), task("c", ["nowhere"])]);
    expect(String(await ended)).toContain("internal: tasks that can never start: a, b, c");
  });
});

describe("interruption", () => {
  test("asks every executor to stop and ends as Interrupted; what has ended is recorded", async () => {
    const finished: string[] = [];
    const { ended, controller } = start([task("a"), task("b"), task("c", ["a"])], {
      workers: 2,
      onDone: ({ id }) => {
        finished.push(id);
        return [];
      },
    });
    await settle();
    controller.abort();
    expect(stops).toBe(2);
    // one had just come to its end, the other saves its state
    await running.get("a")!.finish();
    await running.get("b")!.fail(new Interrupted(sameCommand));
    expect(await ended).toBeInstanceOf(Interrupted);
    expect([started, finished]).toEqual([["a", "b"], ["a"]]);
  });

  test("before anything started starts nothing", async () => {
    const controller = new AbortController();
    controller.abort();
    const { ended } = start([task("a")], { controller });
    expect(await ended).toBeInstanceOf(Interrupted);
    expect(started).toEqual([]);
  });

  test("that comes with the last task is none for a schedule of no more tasks, but is told", async () => {
    const { ended, controller } = start([task("a")]);
    await settle();
    controller.abort();
    await running.get("a")!.finish();
    expect(await ended).toBeInstanceOf(Interrupted);
  });
});

describe("a gate that did not pass", () => {
  test("cancels what is behind it; what needs only cancelled or finished tasks, the report, still runs", async () => {
    const tasks = [
      task("lm"),
      task("gate", ["lm"], 100),
      task("expand", ["gate"]),
      task("next lm", ["expand"]),
      task("report", ["lm", "gate", "expand", "next lm"]),
    ];
    const { ended } = start(tasks, {
      onDone: ({ id }) => (id === "gate" ? ["expand", "next lm"] : []),
    });
    await finishAll();
    expect(await ended).toBe("done");
    expect(started).toEqual(["lm", "gate", "report"]);
  });

  test("lets a cancelled task that runs already come to its end", async () => {
    const finished: string[] = [];
    const tasks = [task("gate"), task("scratch"), task("after", ["scratch"])];
    const { ended } = start(tasks, {
      workers: 2,
      onDone: ({ id }) => {
        finished.push(id);
        return id === "gate" ? ["scratch", "after"] : [];
      },
    });
    await settle();
    await running.get("gate")!.finish();
    await running.get("scratch")!.finish();
    expect(await ended).toBe("done");
    expect([started, finished]).toEqual([
      ["scratch", "gate"],
      ["gate", "scratch"],
    ]);
  });
});
