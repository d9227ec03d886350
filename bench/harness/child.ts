/**
 * A side of a benchmark: a process that stays, readies a task once and then runs blocks of it on request,
 * speaking one JSON document a line over stdin and stdout. Each side has a process of its own, so that the
 * kernel's high-water mark of its resident memory is that side's alone.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

/** What a side is asked to do. */
export interface TaskOfSide {
  readonly task: string;
  readonly variant: string;
  readonly threads: number;
  readonly backend: string;
  readonly sizes: Readonly<Record<string, number>>;
  /** Where our side leaves the data that every side reads. */
  readonly folder: string;
}

/** What a block did: seconds measured inside the process, and the losses of its steps where there are any. */
export interface BlockReply {
  readonly seconds: number;
  readonly losses?: readonly number[];
}

/** What a side that has loaded what it needs says of itself. */
export interface LoadReply {
  readonly version: string;
}

interface Waiting {
  resolve(reply: Record<string, unknown>): void;
  reject(error: Error): void;
}

/** A side's process. Errors of the process reject the request in progress, with the end of its stderr. */
export class Child {
  readonly label: string;
  readonly #process: ChildProcessWithoutNullStreams;
  #waiting: Waiting | undefined;
  #stderr = "";
  #ended: string | undefined;

  constructor(label: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv) {
    this.label = label;
    this.#process = spawn(command, args, { env, stdio: ["pipe", "pipe", "pipe"] });
    this.#process.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-4000);
    });
    createInterface({ input: this.#process.stdout }).on("line", (line) => this.#answer(line));
    this.#process.stdin.on("error", () => {}); // the end of the process says more
    const end = (how: string): void => {
      this.#ended ??= how;
      this.#fail(this.#ended);
    };
    this.#process.on("error", (error) => end(error.message));
    this.#process.on("close", (code, signal) => end(`ended with ${signal ?? code}`));
  }

  /** Loads the libraries that the task needs. */
  async load(request: TaskOfSide): Promise<LoadReply> {
    return (await this.#ask({ do: "load", ...request })) as unknown as LoadReply;
  }

  /** Readies the task. */
  async prepare(request: TaskOfSide): Promise<void> {
    await this.#ask({ do: "prepare", ...request });
  }

  /** Runs `count` steps. */
  async run(count: number): Promise<BlockReply> {
    return (await this.#ask({ do: "run", count })) as unknown as BlockReply;
  }

  /** Resident megabytes (10⁶ bytes): now, and at most so far; null where /proc doesn't say. */
  memory(): { readonly now: number; readonly peak: number } | null {
    try {
      const status = readFileSync(`/proc/${this.#process.pid}/status`, "utf8");
      const field = (name: string): number =>
        (Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) * 1024) / 1e6;
      return { now: field("VmRSS"), peak: field("VmHWM") };
    } catch {
      return null; // not Linux
    }
  }

  /** Ends the process. */
  async close(): Promise<void> {
    if (this.#ended !== undefined) return;
    const ended = new Promise((resolve) => this.#process.once("close", resolve));
    this.#process.kill("SIGKILL"); // nothing of it is to be kept, and a runtime's own end may take seconds
    await ended;
  }

  #ask(message: object): Promise<Record<string, unknown>> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      if (this.#ended !== undefined) this.#fail(this.#ended);
      else this.#process.stdin.write(`${JSON.stringify(message)}\n`);
    });
  }

  #answer(line: string): void {
    const reply = JSON.parse(line) as Record<string, unknown>;
    if (typeof reply.error === "string") {
      this.#fail(reply.error);
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(reply);
  }

  #fail(why: string): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(new Error(`${this.label}: ${why}\n${this.#stderr}`.trimEnd()));
  }
}
