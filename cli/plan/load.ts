/**
 * @file What `train` and `expand-and-track` were asked to do: the resolved plan and its run folder,
 * from a plan file, a run folder or flags alone. A plan that no longer matches its run is refused.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, extname, join, resolve } from "node:path";
import { readManifest, UsageError } from "../../src/io/index.ts";
import { applyFlags, applyFlagsToRun, type PlanFlags } from "./flags.ts";
import { readPlan } from "./parse.ts";
import { resolvePlan } from "./resolve.ts";
import { checkAgainstStored, isRunFolder, meaningful, planPath, readStoredPlan } from "./store.ts";
import type { ResolvedPlan } from "./types.ts";

/** A plan and the run folder it is for. */
export interface LoadedPlan {
  readonly plan: ResolvedPlan;
  readonly runDir: string;
  /** The run that is there already is to be discarded first (--force). */
  readonly discard: boolean;
}

/** What the command line gives besides the flags that build a plan. */
export interface LoadOptions {
  readonly command: "train" | "expand-and-track";
  /** A plan file, a run folder, or nothing. */
  readonly target?: string;
  readonly out?: string;
  /** The run in the way will be discarded, so the plan need not match it. */
  readonly force: boolean;
}

/** Resolves the plan. Errors: UsageError that names the file, key or flag. */
export async function loadPlan(flags: PlanFlags, options: LoadOptions): Promise<LoadedPlan> {
  const { command, target, out, force } = options;
  const isRun = target !== undefined && isFolder(target);
  const source = target ?? flags.activations ?? flags.text ?? flags.model;
  if (source === undefined) {
    throw new UsageError({
      code: "no-plan",
      where: command,
      expected: "a plan file, a run folder, --text FILE, or --activations FILE",
      got: "none of them",
      hint: `sae-carry ${command} --help shows examples`,
    });
  }
  const named = join("runs", basename(resolve(source), extname(source)));
  const runDir = isRun ? runFolder(target, out) : (out ?? named);
  const discard = force && isRunFolder(runDir);
  let stored: ResolvedPlan | null = null;
  if (isRun || !discard) {
    // A run of another version is named as such, before its plan is found fault with.
    if (existsSync(join(runDir, "manifest.json"))) readManifest(runDir);
    stored = await readStoredPlan(runDir);
  }
  if (stored === null && !isRun && !discard && !isFree(runDir)) {
    throw new UsageError({
      code: "not-a-run",
      where: runDir,
      expected: "a new or empty folder, or a run",
      got: "a folder with other files",
      hint: "give another --out",
    });
  }
  if (stored && stored.activations !== null && command === "expand-and-track") {
    throw noModel(runDir, stored.activations);
  }
  let plan: ResolvedPlan;
  if (isRun) {
    if (stored === null) {
      throw new UsageError({
        code: "not-a-run",
        where: target,
        expected: "a run or a plan file",
        got: "a folder that no run wrote",
      });
    }
    plan =
      command === "train"
        ? resolvePlan(applyFlags(meaningful(stored), flags), runDir, planPath(runDir))
        : applyFlagsToRun(stored, flags, runDir, planPath(runDir));
  } else {
    const input = target === undefined ? {} : await readPlan(target);
    const folder = target === undefined ? process.cwd() : dirname(resolve(target));
    plan = resolvePlan(applyFlags(input, flags), folder, target ?? "the command line");
  }
  if (plan.activations !== null && command === "expand-and-track") {
    throw noModel(target ?? "the command line", plan.activations);
  }
  // `train` makes the base stage only, so it may leave out the stages that the run has by now.
  if (stored && !discard && command === "train" && plan.stages.length === 0) {
    plan = { ...plan, stages: stored.stages };
  }
  if (stored && !discard) checkAgainstStored(stored, plan, runDir);
  if (command === "expand-and-track" && plan.stages.length === 0) {
    throw new UsageError({
      code: "no-stages",
      where: target ?? "the command line",
      expected: "at least one expansion (--expand width=1.5x, or stages: in the plan)",
      got: "none",
    });
  }
  return { plan, runDir, discard };
}

function noModel(where: string, activations: string): UsageError {
  return new UsageError({
    code: "no-model",
    where,
    expected: "a plan with a model, which can be grown",
    got: `one of the activations in ${activations}`,
    hint: "`train` trains SAEs on activations; to grow their model too, start from it (--model, --text)",
  });
}

function runFolder(target: string, out: string | undefined): string {
  if (out !== undefined && resolve(out) !== resolve(target)) {
    throw new UsageError({
      code: "bad-flag",
      where: "--out",
      expected: `nothing: ${target} is the run that is gone on with`,
      got: out,
    });
  }
  return target;
}

// What a killed process leaves (a lock, a temporary file) doesn't count.
function isFree(dir: string): boolean {
  return !isFolder(dir) || readdirSync(dir).every((name) => name.startsWith("."));
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
