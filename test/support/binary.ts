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
  child.stderr.on("data", (chunk) => {
    err += chunk;
  });
  const ended = new Promise<BinaryEnding>((resolve) => {
    child.on("close", (code, signal) => resolve({ code, signal, out, err }));
  });
  return { process: child, ended };
}

/** Runs `sae-carry …args` to its end. */
export function runBinary(args: readonly string[], shell?: string): Promise<BinaryEnding> {
  return startBinary(args, shell).ended;
}
