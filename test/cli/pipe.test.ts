// The built binary in a pipe whose reader has gone: it ends quietly.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { binary } from "../support/binary.ts";

test("a reader that closes the pipe is no error", async () => {
  const script = 'set -o pipefail; "$0" "$1" --help | true';
  const run = promisify(execFile)("bash", ["-c", script, process.execPath, binary]);
  await expect(run).resolves.toEqual({ stdout: "", stderr: "" });
});
