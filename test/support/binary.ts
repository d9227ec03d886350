// Runs the built binary in a process of its own, as a user would.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
export const binary: string = join(root, "dist", "cli", "bin.js");

/** How the process ended and what it printed. */
export interface BinaryEnding {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
}

/** A process of the binary, and its end. */
export interface RunningBinary {
  readonly process: ChildProcess;
  readonly ended: Promise<BinaryEnding>;
  /** Resolves once stderr holds `times` lines that match `pattern`, or the process has ended. */
  says(pattern: RegExp, times: number): Promise<void>;
}

/** Starts `sae-carry …args`; `shell` is put before it (a `ulimit`, say). */
export function startBinary(args: readonly string[], shell?: string): RunningBinary {
  if (!existsSync(binary)) throw new Error("dist/ is missing: npm run build");
  const command = [process.execPath, binary, ...args];
  const child = shell
    ? spawn("bash", ["-c", `${shell}; exec "$@"`, "sae-carry", ...command])
    : spawn(command[0], command.slice(1));
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk) => {
    out += chunk;
  });
  child.stderr.setEncoding("utf8");
  child.stderr.on("data", (chunk) => {
    err += chunk;
  });
  const ended = new Promise<BinaryEnding>((resolve) => {
    child.on("close", (code, signal) => resolve({ code, signal, out, err }));
  });
  const says = (pattern: RegExp, times: number): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        const found = err.split("\n").filter((line) => pattern.test(line)).length;
        if (found < times && child.exitCode === null && child.signalCode === null) return;
        child.stderr.off("data", look);
        resolve();
      };
      child.stderr.on("data", look);
      child.on("close", look);
      look();
    });
  return { process: child, ended, says };
}

/** Runs `sae-carry …args` to its end. */
export function runBinary(args: readonly string[], shell?: string): Promise<BinaryEnding> {
  return startBinary(args, shell).ended;
}
