// Runs Python cross-checks in the environment that scripts/python-env.sh makes.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { testWith } from "./require.ts";

const home =
  process.env.SAE_CARRY_PYTHON_HOME ??
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "sae-carry", "python");
const interpreter = join(home, "bin", "python");
const missing = existsSync(interpreter)
  ? undefined
  : "the Python readers are not installed (scripts/python-env.sh sets them up)";

/** Runs a script with arguments; returns its stdout. */
export type RunPython = (script: string, args?: readonly string[]) => Promise<string>;

const run: RunPython = async (script, args = []) => {
  const { stdout } = await promisify(execFile)(interpreter, ["-c", script, ...args], {
    maxBuffer: 1 << 28,
    env: {
      ...process.env,
      HF_HUB_OFFLINE: "1",
      TRANSFORMERS_OFFLINE: "1",
      HF_DATASETS_OFFLINE: "1",
      OMP_NUM_THREADS: "2",
    },
  });
  return stdout;
};

/** `python.test(title, body)`: a test that needs the Python readers. */
export const python: { test(title: string, body: (run: RunPython) => Promise<void>): void } = {
  test(title, body) {
    testWith("python", missing)(title, () => body(run));
  },
};
