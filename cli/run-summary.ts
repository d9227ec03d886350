/**
 * @file What a run holds, in numbers: the answer of `train`, `expand-and-track` and `inspect`, read from
 * the documents in its folder. A document that isn't there yet leaves its figures null.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { readJson, readManifest, UsageError } from "../src/io/index.ts";
import { formatNumber, type Row } from "./output.ts";
import type { ResolvedPlan } from "./plan/types.ts";
import { stageCount, stageDir, stageName } from "./run/layout.ts";

type Fields = Readonly<Record<string, unknown>>;

/** The common part of the run documents (see json-schemas.ts). */
export interface RunSummary {
  readonly run: string;
  readonly seed: number;
  readonly backend: string | null;
  readonly complete: boolean;
  readonly report: string | null;
  readonly stages: readonly StageSummary[];
  readonly five_questions: readonly unknown[] | null;
}

/** One stage of a run. */
export interface StageSummary {
  readonly stage: string;
  /** Null in a run on activations. */
  readonly model: Fields | null;
  readonly tokens_trained: number | null;
  readonly held_out_loss: number | null;
  readonly held_out_se: number | null;
  readonly stage_held_out_loss: number | null;
  readonly unigram_entropy: number | null;
  readonly loss_after_expansion: number | null;
  readonly pca_fvu: number | null;
  readonly exactness: unknown;
  readonly saes: readonly Fields[];
  readonly persistence: readonly Fields[] | null;
  readonly gates: readonly unknown[] | null;
}

/** Reads the documents of the run in `runDir`. Errors: UsageError on a damaged document. */
export function summarizeRun(runDir: string, plan: ResolvedPlan): RunSummary {
  const stages: StageSummary[] = [];
  for (let i = 0; i < stageCount(plan); i++) {
    const stage = summarizeStage(join(runDir, stageDir(plan, i)), stageName(plan, i), i === 0);
    if (stage) stages.push(stage);
  }
  const manifest = existsSync(join(runDir, "manifest.json")) ? readManifest(runDir) : null;
  const report = join(runDir, "report.html");
  const questions = optional(join(runDir, "five-questions.json"))?.questions;
  return {
    run: runDir,
    seed: plan.seed,
    backend: manifest?.backend.name ?? null,
    complete: stages.length === stageCount(plan),
    report: existsSync(report) ? report : null,
    stages,
    five_questions: Array.isArray(questions) ? questions : null,
  };
}

function summarizeStage(dir: string, stage: string, isBase: boolean): StageSummary | null {
  const evaluation = optional(join(dir, "eval.json"));
  if (evaluation === null) return null;
  const has = evaluation.model !== null;
  const model = has ? fields(evaluation.model, `${dir}/eval.json model`) : {};
  const gates = optional(join(dir, "gates.json"))?.gates;
  return {
    stage,
    model: has ? pick(model, ["d_model", "n_layer", "n_head", "d_mlp", "params"]) : null,
    tokens_trained: numberOf(model.tokens_trained),
    held_out_loss: numberOf(model.held_out_loss),
    held_out_se: numberOf(model.held_out_se),
    stage_held_out_loss: numberOf(model.stage_held_out_loss),
    unigram_entropy: numberOf(model.unigram_entropy),
    loss_after_expansion: numberOf(model.loss_after_expansion),
    pca_fvu: numberOf(evaluation.pca_fvu),
    exactness: evaluation.exactness ?? null,
    saes: list(evaluation.saes).map((sae) => ({
      arm: sae.arm,
      sae: sae.sae,
      hook_name: typeof sae.hook_name === "string" ? sae.hook_name : null,
      l0: numberOf(sae.l0),
      fvu: numberOf(sae.fvu),
      ce_loss_score_zero: numberOf(sae.ce_loss_score_zero),
    })),
    persistence: isBase ? null : summarizePersistence(dir),
    gates: Array.isArray(gates) ? gates : null,
  };
}

// One document per SAE: `persistence.json`, or `persistence/<name>.json` where there are several.
function summarizePersistence(dir: string): Fields[] {
  const folder = join(dir, "persistence");
  const several = existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith(".json"))
        .sort()
        .map((name) => join(folder, name))
    : [];
  return (several.length > 0 ? several : [join(dir, "persistence.json")]).flatMap((path) => {
    const document = optional(path);
    if (document === null) return [];
    const { name, eligible, persisted, reinit_persisted, corrected } = document;
    return {
      sae: typeof name === "string" ? name : "resid",
      eligible,
      persisted,
      reinit_persisted: reinit_persisted ?? null,
      corrected: corrected ?? null,
    };
  });
}

/** A run summary for people. */
export function summaryRows(summary: RunSummary): Row[] {
  const rows: Row[] = [["run", summary.run]];
  for (const stage of summary.stages) {
    rows.push([stage.stage, modelInWords(stage)]);
    const growth = rightAfterGrowth(stage.exactness);
    if (growth) rows.push(["  right after growth", growth]);
    for (const sae of stage.saes.filter(({ arm }) => arm === "carried" || arm === "base")) {
      rows.push([`  sae ${sae.sae}`, `L0 ${shown(sae.l0)}, FVU ${shown(sae.fvu)}`]);
    }
    for (const { sae, eligible, persisted } of stage.persistence ?? []) {
      rows.push([`  features ${sae}`, `${share(persisted)} of ${eligible} persisted`]);
    }
  }
  for (const question of summary.five_questions ?? []) {
    const { id, answer } = question as { id: number; answer: string };
    rows.push([`question ${id}`, answer]);
  }
  rows.push(["report", summary.report]);
  return rows;
}

function modelInWords({ model, held_out_loss, unigram_entropy }: StageSummary): string {
  if (model === null) return "activations; without their model no loss is measured";
  const { d_model, n_layer, params } = model as Record<string, number>;
  return `${n_layer} layers × ${d_model}, ${formatNumber(params)} parameters; held-out loss ${shown(held_out_loss)} (unigram ${shown(unigram_entropy)})`;
}

/** Both models on the same tokens at the moment of growth. */
function rightAfterGrowth(exactness: unknown): string | null {
  const { loss_parent, loss_child, max_abs_dlogit } = (exactness ?? {}) as Fields;
  if (typeof loss_parent !== "number" || typeof loss_child !== "number") return null;
  return `loss ${shown(loss_parent)} → ${shown(loss_child)}, largest difference of a logit ${shown(max_abs_dlogit)}`;
}

function shown(value: unknown): string {
  return typeof value === "number" ? formatNumber(value) : "not measured";
}

function share(estimate: unknown): string {
  const { value = null, ci = null } = (estimate ?? {}) as { value?: number | null; ci?: number[] };
  if (value === null) return "not measured:";
  const percent = (x: number): string => `${(100 * x).toFixed(1)}%`;
  return ci === null ? percent(value) : `${percent(value)} (${ci.map(percent).join(" to ")})`;
}

function optional(path: string): Fields | null {
  return existsSync(path) ? fields(readJson(path), path) : null;
}

function fields(value: unknown, where: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw new UsageError({
    code: "bad-run",
    where,
    expected: "an object",
    got: JSON.stringify(value) ?? "nothing",
    hint: "The run was written by another program or is damaged",
  });
}

function list(value: unknown): Fields[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "object" && item) : [];
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}

function pick(value: Fields, keys: readonly string[]): Fields {
  return Object.fromEntries(keys.map((key) => [key, value[key]]));
}
