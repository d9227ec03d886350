/** @file `train` and `expand-and-track`: resolve the plan, run it, print what came out. */
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ActivationDump, acquireLock } from "../../src/io/index.ts";
import type { Context } from "../context.ts";
import { formatBytes, formatDuration, formatNumber, type Row } from "../output.ts";
import { activationHooks } from "../plan/activation-hooks.ts";
import {
  type DryRun,
  estimateRun,
  isRunFolder,
  loadPlan,
  type MachineRate,
  type PlanFlags,
  type ResolvedPlan,
  stageConfigs,
} from "../plan/index.ts";

/** Runs the command. Errors: those of plans and runs. */
export async function train(
  command: "train" | "expand-and-track",
  target: string | undefined,
  flags: Omit<PlanFlags, "seed" | "backend" | "threads" | "workers">,
  context: Context,
): Promise<void> {
  const { seed, backend, threads, workers, out, force } = context;
  const planFlags: PlanFlags = { ...flags, seed, backend, threads, workers };
  const { plan, runDir, discard } = await loadPlan(planFlags, { command, target, out, force });
  const where = target ?? "the command line";
  if (context.dryRun) {
    const rate = await measureRate(plan);
    const estimate = estimateRun(plan, { command, out: runDir, where, rate });
    context.print(estimate, estimateRows(estimate));
    return;
  }
  if (plan.activations === null) {
    for (const note of stageConfigs(plan, where).notes) context.progress.log(note);
  }
  const { runPlan } = await import("../run/index.ts");
  const { summarizeRun, summaryRows } = await import("../run-summary.ts");
  if (discard || !isRunFolder(runDir)) await checkCorpus(plan);
  if (discard) discardRun(runDir);
  await runPlan(plan, {
    runDir,
    only: command === "train" ? "train" : undefined,
    progress: context.progress,
    resume: `sae-carry ${command} ${shellWord(runDir)}`,
  });
  context.progress.end();
  const summary = summarizeRun(runDir, plan);
  context.print({ format: `sae-carry/${command}`, version: 1, ...summary }, summaryRows(summary));
}

// A text that is missing, empty or binary, or a dump without a sequence to train on, is refused before a run folder is made (or discarded) for it.
// A run that exists has its text as tokens, and may go on without it.
async function checkCorpus(plan: ResolvedPlan): Promise<void> {
  if (plan.activations !== null) {
    const { dumpSequences } = await import("../../sae/index.ts");
    const { firstTokensExcluded } = await import("../run/tasks/held-out.ts");
    const hooks = activationHooks(plan.saes);
    const dump = new ActivationDump(plan.activations);
    dumpSequences(dump, hooks, { firstTokensExcluded, part: "train" }).close();
    return;
  }
  const { filterDocuments, openCorpus } = await import("../../src/data/index.ts");
  const { corpusSpec } = await import("../run/tasks/data.ts");
  for (const data of [plan.data, ...plan.stages.map((stage) => stage.data)]) {
    if (data === null) continue;
    const corpus = filterDocuments(openCorpus(corpusSpec(data)), data.filter ?? {});
    const documents = corpus.documents()[Symbol.asyncIterator]();
    await documents.next();
    await documents.return?.();
  }
}

// What the run wrote goes; a run that another process works on is refused.
function discardRun(runDir: string): void {
  const lock = acquireLock(runDir);
  try {
    for (const name of readdirSync(runDir)) {
      if (name !== ".lock") rmSync(join(runDir, name), { recursive: true });
    }
  } finally {
    lock.release();
  }
}

function shellWord(text: string): string {
  return /^[\w./@%+=:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

async function measureRate(plan: ResolvedPlan): Promise<MachineRate> {
  const { defaultWorkers, measureCoreGflops, useBackend } = await import(
    "../../src/engine/index.ts"
  );
  const { backendOptions, threadsOfShare } = await import("../run/executors.ts");
  const { name: backend } = await useBackend(plan.backend, backendOptions(plan));
  const workers = plan.workers === "auto" ? defaultWorkers(backend) : plan.workers;
  const threads = backend === "native" ? threadsOfShare(plan, workers) : 1;
  return { flopsPerSecond: (await measureCoreGflops()) * 1e9, backend, workers, threads };
}

function estimateRows({ out, stages, tasks, buffer, total, notes }: DryRun): Row[] {
  return [
    ["run", out],
    ...stages.map(
      ({ stage, n_layer, d_model, n_head, params, lm_tokens, sae_tokens, saes }): Row => [
        stage,
        `${n_layer} layers × ${d_model}, ${n_head} heads, ${formatNumber(params)} parameters; ${formatNumber(lm_tokens)} model tokens, ${formatNumber(sae_tokens)} SAE tokens for ${saes} SAEs`,
      ],
    ),
    ...tasks.map(
      ({ task, title, memory_bytes, seconds }): Row => [
        `  ${task}`,
        `${title}: ${formatBytes(memory_bytes)}${seconds === null ? "" : `, about ${formatDuration(seconds)}`}`,
      ],
    ),
    [
      "activation buffer",
      buffer && `${formatNumber(buffer.tokens)} tokens, ${formatBytes(buffer.bytes)}`,
    ],
    ["operations", total.flops.toExponential(1)],
    ["memory", `${formatBytes(total.memory_bytes)} per process`],
    ["disk", formatBytes(total.disk_bytes)],
    ["time", total.seconds === null ? null : `about ${formatDuration(total.seconds)}`],
    ...notes.map((note): Row => ["note", note]),
  ];
}
