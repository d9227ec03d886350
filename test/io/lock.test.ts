import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { afterEach, expect, test } from "vitest";
import { acquireLock, UsageError } from "../../src/io/index.ts";
import { compiled } from "../support/compiled.ts";
import { temporaryFolder } from "../support/folder.ts";

const run = temporaryFolder();
const io = compiled("src/io");
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

/** A process that takes the lock and keeps it; resolves with its pid, or its error's message. */
function owner(then = "setInterval(() => {}, 1000);"): Promise<string> {
  const script = `
    import { acquireLock } from ${JSON.stringify(io())};
    try {
      globalThis.lock = acquireLock(${JSON.stringify(run())});
      console.log(process.pid);
      ${then}
    } catch (error) {
      console.log(error.name + ": " + error.message);
    }
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script]);
  children.push(child);
  return new Promise((resolve) => {
    child.stdout.once("data", (text) => resolve(String(text).trim()));
  });
}

function dead(): Promise<void> {
  const child = children[children.length - 1];
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill("SIGKILL");
  });
}

test("a lock is there while it is held and gone after release", () => {
  const lock = acquireLock(run("new"));
  const { pid, host } = JSON.parse(readFileSync(run("new", ".lock"), "utf8"));
  expect({ pid, host }).toEqual({ pid: process.pid, host: hostname() });
  expect(readdirSync(run("new"))).toEqual([".lock"]);
  lock.release();
  lock.release();
  expect(readdirSync(run("new"))).toEqual([]);
});

test("a second process is refused with the pid of the first", async () => {
  const pid = await owner();
  expect(() => acquireLock(run())).toThrow(UsageError);
  expect(() => acquireLock(run())).toThrow(`another process (pid ${pid}) works on this run`);
});

test("the same process can't take a lock twice", () => {
  const lock = acquireLock(run());
  expect(() => acquireLock(run())).toThrow(`pid ${process.pid}`);
  lock.release();
});

test("the lock of a killed process is taken over, and its temporary files are swept away", async () => {
  await owner();
  await dead();
  expect(existsSync(run(".lock"))).toBe(true);
  mkdirSync(run("stages"));
  writeFileSync(run("stages", ".eval.json.123.partial"), "{");
  const lock = acquireLock(run());
  expect(readdirSync(run("stages"))).toEqual([]);
  expect(JSON.parse(readFileSync(run(".lock"), "utf8")).pid).toBe(process.pid);
  lock.release();
});

test.runIf(existsSync("/proc/self/stat"))(
  "a pid that another process uses by now is a dead owner",
  () => {
    const owner = { pid: process.ppid, started: "an earlier boot:1", host: hostname() };
    writeFileSync(run(".lock"), JSON.stringify(owner));
    acquireLock(run()).release();
  },
);

test("an owner on another host counts as alive, and the message says what to remove", () => {
  writeFileSync(run(".lock"), JSON.stringify({ pid: 1, started: null, host: "elsewhere" }));
  expect(() => acquireLock(run())).toThrow(/pid 1 on elsewhere\).*remove .*\.lock/);
});

test("a lock that is no lock of ours is taken over", () => {
  for (const text of ["", "{", "null", '{"pid":-1}', '{"pid":"1","host":"x"}']) {
    writeFileSync(run(".lock"), text);
    acquireLock(run()).release();
  }
});

test("a process that ends without releasing gives the run free", async () => {
  await owner("process.exitCode = 0;");
  await new Promise((resolve) => children[0].once("close", resolve));
  expect(existsSync(run(".lock"))).toBe(false);
});

test("of several processes that take over one dead lock, one gets the run", async () => {
  await owner();
  await dead();
  const answers = await Promise.all([owner(), owner(), owner()]);
  expect(answers.filter((text) => /^\d+$/.test(text))).toHaveLength(1);
  expect(answers.filter((text) => text.startsWith("UsageError"))).toHaveLength(2);
});

test("a dead lock that another process is about to remove is left to it, unless that one was killed too", () => {
  const deadOwner = '{"pid":-1}';
  writeFileSync(run(".lock"), deadOwner);
  writeFileSync(
    run(".lock.takeover"),
    JSON.stringify({ pid: process.ppid, started: null, host: hostname() }),
  );
  expect(() => acquireLock(run())).toThrow(`another process (pid ${process.ppid})`);
  expect(readFileSync(run(".lock"), "utf8")).toBe(deadOwner);
  writeFileSync(run(".lock.takeover"), JSON.stringify({ pid: -1 }));
  const lock = acquireLock(run());
  expect(readdirSync(run())).toEqual([".lock"]);
  lock.release();
});
