/**
 * @file One process at a time in a run. `<run>/.lock` holds the owner's pid, its start time (a pid is used
 * again sooner or later) and its host. The lock of a dead process is taken over. A lock appears with its
 * content in one step, by a hard link, so nobody ever reads half of one.
 */
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { sweepTemporaries } from "./atomic-file.ts";
import { UsageError } from "./errors.ts";
import { readProblem, writeProblem } from "./file-errors.ts";

interface Owner {
  readonly pid: number;
  /** Boot and clock ticks at which the process started, from /proc; null where there is no /proc. */
  readonly started: string | null;
  readonly host: string;
}

/** The right to write in a run folder. */
export interface RunLock {
  /** Gives the run free. Harmless when called again; called at exit in any case. */
  release(): void;
}

/**
 * Takes the lock of a run folder, which is made if missing, and clears away what killed processes left
 * half-written in it. A living owner is a UsageError that names its pid.
 */
export function acquireLock(runDir: string): RunLock {
  const path = join(runDir, ".lock");
  const own = JSON.stringify({
    pid: process.pid,
    started: startOf(process.pid),
    host: hostname(),
  } satisfies Owner);
  try {
    mkdirSync(runDir, { recursive: true });
    while (!tryLink(path, own)) {
      const text = readLock(path);
      if (text === undefined) continue; // released meanwhile
      const owner = parseOwner(text);
      if (owner !== undefined && isAlive(owner)) throw taken(runDir, path, owner);
      const other = removeDead(path, text, own);
      if (other !== null) throw taken(runDir, `${path} and ${takeoverOf(path)}`, other);
    }
  } catch (error) {
    throw writeProblem(error, path);
  }
  const release = () => {
    process.removeListener("exit", release);
    if (readLock(path) === own) rmSync(path, { force: true });
  };
  process.on("exit", release);
  sweepTemporaries(runDir);
  return { release };
}

function taken(runDir: string, path: string, { pid, host }: Owner): UsageError {
  const elsewhere = host !== hostname();
  return new UsageError({
    code: "run-locked",
    where: runDir,
    expected: "a run that no other process works on",
    got: `another process (pid ${pid}${elsewhere ? ` on ${host}` : ""}) works on this run`,
    hint: elsewhere
      ? `Wait for it; if it is gone, remove ${path}`
      : "Wait for it, or stop it and repeat the command",
  });
}

/** Whether the lock could be made; false when there is one. */
function tryLink(path: string, text: string): boolean {
  const temporary = `${path}.${process.pid}.partial`;
  writeFileSync(temporary, text);
  try {
    linkSync(temporary, path);
    return true;
  } catch (error) {
    if (hasCode(error, "EEXIST")) return false;
    if (hasCode(error, "ENOENT")) return false; // swept by the owner that is about to be found
    if (!hasCode(error, "EPERM", "ENOTSUP", "ENOSYS")) throw error;
    return tryExclusive(path, text); // a file system without hard links
  } finally {
    rmSync(temporary, { force: true });
  }
}

function tryExclusive(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: "wx" });
    return true;
  } catch (error) {
    if (hasCode(error, "EEXIST")) return false;
    throw error;
  }
}

function readLock(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw readProblem(error, path);
  }
}

/** The lock of who removes a dead lock, so that nobody removes the lock that its successor has made meanwhile. */
function takeoverOf(path: string): string {
  return `${path}.takeover`;
}

/** Removes the dead lock `text`, if it is still there. Returns who is about to do that already, or null. */
function removeDead(path: string, text: string, own: string): Owner | null {
  const takeover = takeoverOf(path);
  if (!tryLink(takeover, own)) {
    const held = readLock(takeover);
    if (held === undefined) return null; // done meanwhile
    const owner = parseOwner(held);
    if (owner !== undefined && isAlive(owner)) return owner;
    rmSync(takeover, { force: true }); // killed between the two lines below
    return null;
  }
  if (readLock(path) === text) rmSync(path, { force: true });
  rmSync(takeover, { force: true });
  return null;
}

function parseOwner(text: string): Owner | undefined {
  try {
    const { pid, started, host } = JSON.parse(text) as Owner;
    return Number.isSafeInteger(pid) && pid > 0 && typeof host === "string"
      ? { pid, started: typeof started === "string" ? started : null, host }
      : undefined;
  } catch {
    return undefined; // not a lock of ours
  }
}

/** A process on another host can't be asked, so it counts as alive. */
function isAlive({ pid, started, host }: Owner): boolean {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (hasCode(error, "ESRCH")) return false;
    if (!hasCode(error, "EPERM")) throw error;
  }
  const now = startOf(pid);
  return started === null || now === null || started === now;
}

/** When a process started: field 22 of /proc/<pid>/stat (proc_pid_stat(5)) in this boot. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    // The name in field 2 may hold spaces and brackets: count from its last bracket.
    return `${boot}:${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}`;
  } catch {
    return null; // no /proc here
  }
}

function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}
