/**
 * Reads the files of a run into `RunData`. What is not there yet is null; what is there and damaged
 * is a UsageError that names the file and the field. Nothing outside the run folder is read, and the
 * folder's own name is not used, so the same run gives the same report wherever it lies.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse as parseYaml } from "yaml";
import type { z } from "zod";
import { decodeUtf8, readJson, readJsonl, readManifest, UsageError } from "../src/io/index.ts";
import { activationsSchema } from "./activations-schema.ts";
import { likenessSchema } from "./likeness-schema.ts";
import { persistenceSchema } from "./persistence-schema.ts";
import { type PlanDocument, planSchema } from "./plan-schema.ts";
import { readFeatures, readVerdicts } from "./read-tables.ts";
import type { PersistenceSummary } from "./run-data/persistence.ts";
import type { PlanSummary } from "./run-data/whole-run.ts";
import type { RunData, StageData } from "./run-data.ts";
import {
  carryCheckSchema,
  circuitSchema,
  evaluationSchema,
  gatesSchema,
  growthSchema,
  historySchema,
  mapSchema,
  metricSchema,
  questionsSchema,
} from "./schemas.ts";
import { activationsTitle } from "./view/activations.ts";

const defaultTitle = "Which features came along?";

/** Reads the run in `runDir`. Errors: UsageError when it holds neither a plan nor a stage, or a damaged file. */
export function readRun(runDir: string): RunData {
  const found = stageFolders(runDir);
  const plan = readPlan(runDir, found);
  if (plan.text === null && found.length === 0) {
    throw new UsageError({
      code: "not-a-run",
      where: runDir,
      expected: "a run folder (with plan.yaml or stages/)",
      got: existsSync(runDir) ? "something else" : "no such folder",
    });
  }
  const manifest = existsSync(join(runDir, "manifest.json")) ? readManifest(runDir) : null;
  const metrics = join(runDir, "metrics.jsonl");
  return {
    plan,
    toolVersion: manifest?.tool_version ?? null,
    backend: manifest?.backend.name ?? null,
    stages: plan.stages.map((name) => readStage(join(runDir, "stages", name), name, plan)),
    metrics: existsSync(metrics)
      ? readJsonl(metrics).map((line, i) =>
          checked(line, metricSchema, `${metrics}, line ${i + 1}`),
        )
      : [],
    growth: optional(join(runDir, "growth.json"), growthSchema),
    history: optional(join(runDir, "history.json"), historySchema)?.saes ?? null,
    questions: optional(join(runDir, "five-questions.json"), questionsSchema)?.questions ?? null,
    activations:
      plan.activations === null
        ? null
        : {
            evaluation: optional(
              join(runDir, "stages", plan.stages[0], "eval.json"),
              activationsSchema,
            ),
          },
  };
}

function readStage(dir: string, name: string, plan: PlanSummary): StageData {
  const sae = plan.saes[0]?.name ?? "resid";
  const at = (...parts: string[]): string => join(dir, ...parts);
  const several = jsonFiles(at("persistence")).map((file) => required(file, persistenceSchema));
  const single = optional(at("persistence.json"), persistenceSchema);
  const all: PersistenceSummary[] = several.length > 0 ? several : single ? [single] : [];
  const persistence = all.find((document) => document.name === sae) ?? all[0] ?? null;
  const verdicts = at("persistence", `${persistence?.name ?? sae}.arrow`);
  const features = [at("features", `${sae}.arrow`), at("features.arrow")].find(existsSync);
  const [circuit] = jsonFiles(at("circuits"));
  return {
    name,
    evaluation: plan.activations === null ? optional(at("eval.json"), evaluationSchema) : null,
    map: optional(at("expansion", "map.json"), mapSchema),
    check: optional(at("carried", sae, "check.json"), carryCheckSchema),
    persistence,
    others: all.filter((document) => document !== persistence),
    likeness:
      optional(at("likeness.json"), likenessSchema)?.saes.find((curves) => curves.sae === sae) ??
      null,
    verdicts: existsSync(verdicts) ? readVerdicts(verdicts) : null,
    features: features === undefined ? null : readFeatures(features),
    circuit: circuit === undefined ? null : required(circuit, circuitSchema),
    gates: optional(at("gates.json"), gatesSchema),
  };
}

/** Names of the folders in stages/ that look like a stage, in order. */
function stageFolders(runDir: string): string[] {
  const dir = join(runDir, "stages");
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && /^\d{2,}-/.test(entry.name))
    .map((entry) => entry.name)
    .sort();
}

function readPlan(runDir: string, found: readonly string[]): PlanSummary {
  const path = join(runDir, "plan.yaml");
  const text = existsSync(path) ? decodeUtf8(readFileSync(path), path) : null;
  const document: PlanDocument = checked(parsePlan(text, path), planSchema, path);
  const planned = [{ name: "base" }, ...document.stages].map(
    ({ name }, i) => `${String(i).padStart(2, "0")}-${name ?? "stage"}`,
  );
  return {
    text,
    title:
      document.report.title ?? (document.activations === null ? defaultTitle : activationsTitle),
    seed: document.seed,
    corpus: document.data.corpus,
    activations: document.activations,
    context: document.data.context,
    minFirings: document.eval.min_firings,
    freshSeeds: document.controls.fresh_seeds,
    baseSize: document.model,
    saes: document.saes,
    stages: text === null ? found : planned,
  };
}

function parsePlan(text: string | null, path: string): unknown {
  if (text === null) return {};
  try {
    return parseYaml(text) ?? {};
  } catch (cause) {
    throw new UsageError({
      code: "plan-malformed",
      where: path,
      expected: "YAML",
      got: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  }
}

function jsonFiles(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .filter((name) => name.endsWith(".json"))
    .sort()
    .map((name) => join(dir, name));
}

function optional<T>(path: string, schema: z.ZodType<T>): T | null {
  return existsSync(path) ? required(path, schema) : null;
}

function required<T>(path: string, schema: z.ZodType<T>): T {
  return checked(readJson(path), schema, path);
}

function checked<T>(value: unknown, schema: z.ZodType<T>, where: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new UsageError({
    code: "run-document",
    where: `${where}: ${issue.path.map(String).join(".") || "document"}`,
    expected: "the layout of docs/json.md",
    got: issue.message,
    cause: result.error,
  });
}
