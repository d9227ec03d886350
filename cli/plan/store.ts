/**
 * @file A plan in its run folder: written with every default spelled out, read back, and compared.
 * The same plan gives the same bytes; paths are stored relative to the run folder.
 */
import { existsSync, readFileSync } from "node:fs";
import { isAbsolute, join, relative, resolve, sep } from "node:path";
import { stringify } from "yaml";
import { UsageError, writeFileAtomic } from "../../src/io/index.ts";
import { keyName, readPlan } from "./parse.ts";
import { resolvePlan } from "./resolve.ts";
import type { PlanInput, ResolvedPlan } from "./types.ts";

const firstLine = "# The resolved plan of this run: every default spelled out.";

/** The plan of a run: `<run>/plan.yaml`. */
export function planPath(runDir: string): string {
  return join(runDir, "plan.yaml");
}

/** `plan` as YAML for the folder it will lie in. */
export function planText(plan: ResolvedPlan, folder: string): string {
  const { data, tokenizer, model } = plan;
  const stored = meaningful({
    ...plan,
    activations: storedPath(plan.activations, folder),
    data: { ...data, path: storedPath(data.path, folder) },
    tokenizer: { ...tokenizer, path: storedPath(tokenizer.path, folder) },
    model: { ...model, path: storedPath(model.path, folder) },
    saes: plan.saes.map((sae) => ({ ...sae, from: storedPath(sae.from, folder) })),
    stages: plan.stages.map(({ data, ...stage }) => ({
      ...stage,
      data: data && { ...data, path: storedPath(data.path, folder) },
    })),
  });
  const body = stringify(stored, { lineWidth: 0, aliasDuplicateObjects: false });
  return `${firstLine} Paths start at this folder.\n${body}`;
}

/** The keys of a plan that say something: one of activations has no text, no model and no stages. */
export function meaningful(plan: ResolvedPlan): PlanInput {
  if (plan.activations === null) return plan;
  const { version, seed, backend, threads, workers, activations, saes, eval: evaluation } = plan;
  return { version, seed, backend, threads, workers, activations, saes, eval: evaluation };
}

/** Writes `<run>/plan.yaml`, atomically. */
export function writePlan(runDir: string, plan: ResolvedPlan): void {
  writeFileAtomic(planPath(runDir), planText(plan, runDir));
}

/** Whether `dir` is a run: it has a manifest, or (a run killed at once) a plan that a run wrote; not one of the user's own. */
export function isRunFolder(dir: string): boolean {
  if (existsSync(join(dir, "manifest.json"))) return true;
  const path = planPath(dir);
  return existsSync(path) && readFileSync(path, "utf8").startsWith(firstLine);
}

/** The stored plan of a run; null where the folder is none. Errors: UsageError on a missing or damaged file. */
export async function readStoredPlan(runDir: string): Promise<ResolvedPlan | null> {
  if (!isRunFolder(runDir)) return null;
  const path = planPath(runDir);
  return resolvePlan(await readPlan(path), runDir, path);
}

/**
 * `plan` with what computes it as in `stored`: backend, threads and workers hold for one command, and
 * the stored plan keeps those that the run was begun with. Which backend a run is bound to is in its manifest.
 */
export function asBegun(plan: ResolvedPlan, stored: ResolvedPlan): ResolvedPlan {
  const { backend, threads, workers } = stored;
  return { ...plan, backend, threads, workers };
}

/**
 * Checks that `next` is the plan that the run in `runDir` was made with, or has stages appended to it.
 * What computes it is not compared (`asBegun`). Errors: UsageError that names the first key that differs.
 */
export function checkAgainstStored(stored: ResolvedPlan, next: ResolvedPlan, runDir: string): void {
  const comparable = {
    ...asBegun(next, stored),
    stages: next.stages.slice(0, stored.stages.length),
  };
  const change = firstDifference(stored, comparable, []);
  if (change === null) return;
  throw new UsageError({
    code: "plan-changed",
    where: `${planPath(runDir)} ${keyName(change.path)}`,
    expected: `${shown(change.a)}, which the run was made with`,
    got: shown(change.b),
    hint: "give another --out, or --force to discard the run and start again",
  });
}

interface Difference {
  readonly path: readonly PropertyKey[];
  readonly a: unknown;
  readonly b: unknown;
}

function firstDifference(a: unknown, b: unknown, path: readonly PropertyKey[]): Difference | null {
  if (Object.is(a, b)) return null;
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let i = 0; i < Math.max(a.length, b.length); i++) {
      const change = firstDifference(a[i], b[i], [...path, i]);
      if (change) return change;
    }
    return null;
  }
  if (isRecord(a) && isRecord(b)) {
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
      const change = firstDifference(a[key], b[key], [...path, key]);
      if (change) return change;
    }
    return null;
  }
  return { path, a, b };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  return isRecord(value) ? `a ${"expand" in value ? "stage" : "section"}` : JSON.stringify(value);
}

// Forward slashes on every system, so that the bytes don't depend on it; another drive stays absolute.
function storedPath(path: string | null, folder: string): string | null {
  if (path === null) return null;
  const short = relative(resolve(folder), path);
  return isAbsolute(short) ? short : short.split(sep).join("/") || ".";
}
