/** Starting a process: the built command line's --help, and Node with nothing to do. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { PrepareTask } from "./task.ts";

const bin = fileURLToPath(new URL("../../cli/bin.js", import.meta.url));

/** The variant `node` starts Node alone. */
export const prepareStart: PrepareTask = async ({ variant }) => {
  const args = variant === "node" ? ["-e", "0"] : [bin, "--help"];
  return async (count) => {
    for (let i = 0; i < count; i++) execFileSync(process.execPath, args, { stdio: "ignore" });
    return undefined;
  };
};
