/** What the figures were measured on, in one line, without names of hosts or folders. */
import { arch, availableParallelism, cpus, platform, release, totalmem } from "node:os";

/** Processor, cores, memory, system, Node. */
export function describeMachine(): string {
  const model = cpus()[0]?.model.replace(/\s+/g, " ").trim() || "unknown processor";
  const cores = availableParallelism();
  return [
    model,
    `${cores} core${cores === 1 ? "" : "s"}`,
    `${Math.round(totalmem() / 2 ** 30)} GiB`,
    `${platform()} ${release().split("-")[0]} ${arch()}`,
    `Node ${process.versions.node}`,
  ].join(", ");
}
