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
import { checkAgainstStored, planPath, readStoredPlan } from "./store.ts";
import type { ResolvedPlan } from "./types.ts";

/** A plan and the run folder it is for. */
export interface LoadedPlan {
  readonly plan: ResolvedPlan;
  readonly runDir: string;
  /** The plan that the run has already; null where there is no run yet. */
  readonly stored: ResolvedPlan | null;
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
  const source = target ?? flags.text ?? flags.model;
  if (source === undefined) {
    throw new UsageError({
      code: "no-plan",
      where: command,
      expected: "a plan file, a run folder, or --text FILE",
      got: "none of them",
      hint: `sae-carry ${command} --help shows examples`,
    });
  }
  const named = join("runs", basename(resolve(source), extname(source)));
  const runDir = isRun ? runFolder(target, out) : (out ?? named);
  // A run of another version is named as such, before its plan is found fault with.
  if (existsSync(join(runDir, "manifest.json"))) readManifest(runDir);
  const stored = await readStoredPlan(runDir);
  if (
    !isRun &&
    isFolder(runDir) &&
    readdirSync(runDir).length > 0 &&
    !existsSync(planPath(runDir))
  ) {
    throw new UsageError({
      code: "not-a-run",
      where: runDir,
      expected: "a new or empty folder, or a run (with plan.yaml)",
      got: "a folder with other files",
      hint: "give another --out",
    });
  }
  let plan: ResolvedPlan;
  if (isRun) {
    if (stored === null) {
      throw new UsageError({
        code: "not-a-run",
        where: target,
        expected: "a run folder (with plan.yaml) or a plan file",
        got: "a folder without plan.yaml",
      });
    }
    plan =
      command === "train"
        ? resolvePlan(applyFlags(stored, flags), runDir, planPath(runDir))
        : applyFlagsToRun(stored, flags, runDir, planPath(runDir));
  } else {
    const input = target === undefined ? {} : await readPlan(target);
    const folder = target === undefined ? process.cwd() : dirname(resolve(target));
    plan = resolvePlan(applyFlags(input, flags), folder, target ?? "the command line");
  }
  // `train` makes the base stage only, so it may leave out the stages that the run has by now.
  if (stored && !force && command === "train" && plan.stages.length === 0) {
    plan = { ...plan, stages: stored.stages };
  }
  if (stored && !force) checkAgainstStored(stored, plan, runDir);
  if (command === "expand-and-track" && plan.stages.length === 0) {
    throw new UsageError({
      code: "no-stages",
      where: target ?? "the command line",
      expected: "at least one expansion (--expand width=1.5x, or stages: in the plan)",
      got: "none",
    });
  }
  return { plan, runDir, stored };
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

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
