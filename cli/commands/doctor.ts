/** @file `doctor`: the backends found, the one chosen and why, and how to get a faster one. */
import { availableParallelism, totalmem } from "node:os";
import {
  type BackendName,
  measureGflops,
  surveyBackends,
  useBackend,
} from "../../src/engine/index.ts";
import type { Context } from "../context.ts";
import { formatBytes, formatNumber, type Row } from "../output.ts";
import type { Check } from "./doctor-check.ts";

/** Prints the survey; with `check`, also the exactness and gradient checks: one that fails makes the exit code 1. */
export async function doctor(
  { check = false }: { readonly check?: boolean },
  context: Context,
): Promise<void> {
  const { backend = "auto", threads, progress } = context;
  const findings = await surveyBackends();
  const backends = [];
  for (const finding of findings) {
    progress.update({ label: `measuring ${finding.name}`, done: null });
    const gflops = finding.available ? await measure(finding.name, threads) : null;
    backends.push({ ...finding, gflops });
  }
  const choice = await useBackend(backend, { threads });
  let checks: Check[] | null = null;
  if (check) {
    progress.update({ label: `checking ${choice.name}`, done: null });
    const { runChecks } = await import("./doctor-check.ts");
    checks = [];
    for await (const done of runChecks()) checks.push(done);
  }
  progress.end();
  const memory = totalmem();
  const rows: Row[] = [
    ["node", process.versions.node],
    ["platform", `${process.platform} ${process.arch}`],
    ["cpus", availableParallelism()],
    ["memory", formatBytes(memory)],
    ["chosen", `${choice.name} (${choice.reason})`],
    ...backends.map(
      ({ name, available, reason, advice, gflops }): Row => [
        name,
        available
          ? `${reason}, ${gflops === null ? "not measured" : `${formatNumber(gflops)} GFLOPS`}`
          : `not available: ${reason}${advice === null ? "" : `. To get it: ${advice}`}`,
      ],
    ),
    ...(checks ?? []).map(
      ({ name, passed, error, tolerance }): Row => [
        `check ${name}`,
        `${passed ? "passed" : "FAILED"}: error ${formatNumber(error)}, at most ${formatNumber(tolerance)} allowed`,
      ],
    ),
  ];
  context.print(
    {
      format: "sae-carry/doctor",
      version: 1,
      node: process.versions.node,
      platform: `${process.platform} ${process.arch}`,
      cpus: availableParallelism(),
      memory_bytes: memory,
      chosen: choice.name,
      reason: choice.reason,
      backends,
      checks,
    },
    rows,
  );
  if (checks?.some(({ passed }) => !passed)) context.ending.code = 1;
}

async function measure(name: BackendName, threads: number | undefined): Promise<number> {
  await useBackend(name, { threads });
  return measureGflops();
}
