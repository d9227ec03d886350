/** @file `inspect`: says what a checkpoint, SAE, Arrow file, expansion map or run holds. */
import { existsSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import {
  crosscoderKind,
  loadCrosscoder,
  readLineage,
  readSaeFolder,
  saeFormatOf,
  saeKind,
} from "../../sae/index.ts";
import { readMap, sizeInfo } from "../../src/expansion/index.ts";
import { inspectFile, readJson, readManifest, UsageError } from "../../src/io/index.ts";
import { familyTitle, hookNames, loadModel, modelSizes } from "../../src/models/index.ts";
import type { Context } from "../context.ts";
import { formatNumber, type Row } from "../output.ts";
import { isRunFolder, readStoredPlan } from "../plan/index.ts";
import { summarizeRun, summaryRows } from "../run-summary.ts";
import { outputFields, outputRows } from "../transcoder-output.ts";

interface Finding {
  readonly document: object;
  readonly rows: readonly Row[];
}

/** Prints what lies at `path`. Errors: UsageError for what is none of them, or damaged. */
export async function inspect(path: string, context: Context): Promise<void> {
  const { document, rows } = await find(path);
  context.print({ format: "sae-carry/inspect", version: 1, path, ...document }, [
    ["path", path],
    ...rows,
  ]);
}

async function find(path: string): Promise<Finding> {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats?.isDirectory()) return findInFolder(path);
  // A file of a folder that is a whole of several files stands for that whole.
  const whole = [
    "map.json",
    "map.safetensors",
    "cfg.json",
    "sae_weights.safetensors",
    "sae.safetensors",
    "ae.pt",
    "model.safetensors",
  ];
  if (stats && whole.includes(basename(path))) return findInFolder(dirname(path));
  return findFile(path);
}

async function findInFolder(dir: string): Promise<Finding> {
  const holds = (name: string): boolean => existsSync(join(dir, name));
  if (isRunFolder(dir)) return findRun(dir);
  if (holds("cfg.json") && isCrosscoder(join(dir, "cfg.json"))) return findCrosscoder(dir);
  if (holds("cfg.json") || holds("ae.pt")) return findSae(dir);
  // A folder that `expand` wrote holds the bigger model and the map to it; the map tells more.
  if (holds("map.json")) return findMap(dir);
  if (holds("config.json")) return findModel(dir);
  throw new UsageError({
    code: "unknown-contents",
    where: dir,
    expected: "a run, a model, an SAE or an expansion map",
    got: "a folder with none of plan.yaml, config.json, cfg.json, map.json",
  });
}

async function findRun(dir: string): Promise<Finding> {
  if (existsSync(join(dir, "manifest.json"))) readManifest(dir);
  const plan = await readStoredPlan(dir);
  if (plan === null) throw new Error("internal: a run without a plan");
  const summary = summarizeRun(dir, plan);
  return {
    document: { kind: "run", ...summary },
    rows: [
      ["kind", summary.complete ? "run, complete" : "run, not complete"],
      ...summaryRows(summary),
    ],
  };
}

function findModel(dir: string): Finding {
  const { config } = loadModel(dir);
  const model = sizeInfo(config);
  const { vocabSize, context } = modelSizes(config);
  const tokenizer = existsSync(join(dir, "tokenizer.json"));
  return {
    document: {
      kind: "model",
      model,
      vocab_size: vocabSize,
      n_positions: context,
      hooks: hookNames(config),
      tokenizer,
    },
    rows: [
      ["kind", `${familyTitle(config)} model`],
      ["parameters", model.params],
      ["layers", model.n_layer],
      ["width", model.d_model],
      ["heads", model.n_head],
      ...(model.n_expert === undefined
        ? [["neurons in an MLP layer", model.d_mlp] satisfies Row]
        : [
            ["experts in a layer", model.n_expert] satisfies Row,
            ["experts that a token uses", model.n_expert_per_token] satisfies Row,
            ["neurons in an expert", model.d_mlp] satisfies Row,
          ]),
      ["vocabulary", vocabSize],
      ["context", context],
      ["tokenizer", tokenizer ? "beside it" : "none"],
    ],
  };
}

function isCrosscoder(path: string): boolean {
  const cfg = readJson(path) as { architecture?: unknown } | null;
  return cfg?.architecture === crosscoderKind;
}

function findCrosscoder(dir: string): Finding {
  const { sae, parent, child } = loadCrosscoder(dir);
  const { architecture, d_in, d_sae, k } = sae.cfg;
  return {
    document: { kind: "crosscoder", architecture, d_in, d_sae, k, parent, child },
    rows: [
      ["kind", `${architecture} crosscoder`],
      ["parent", `${parent.hook_name} of ${parent.model_name}, width ${parent.d_in}`],
      ["child", `${child.hook_name} of ${child.model_name}, width ${child.d_in}`],
      ["latents", d_sae],
      ["k", k],
    ],
  };
}

function findSae(dir: string): Finding {
  const { sae, format } = readSaeFolder(dir, { from: saeFormatOf(dir) ?? "saelens" });
  const { cfg } = sae;
  const lineage = lineageCounts(join(dir, "lineage.arrow"));
  return {
    document: {
      kind: "sae",
      stored_as: format,
      architecture: cfg.architecture,
      d_in: cfg.d_in,
      d_sae: cfg.d_sae,
      k: cfg.k,
      hook_name: cfg.hook_name,
      model_name: cfg.model_name,
      ...outputFields(cfg),
      lineage,
    },
    rows: [
      ["kind", `${cfg.architecture} ${saeKind(cfg)}, stored as ${format}`],
      ["hook", cfg.hook_name],
      ["model", cfg.model_name],
      ["inputs", cfg.d_in],
      ...outputRows(cfg),
      ["latents", cfg.d_sae],
      ["active for a token", cfg.k],
      ...Object.entries(lineage ?? {}).map(([stage, n]): Row => [`latents from ${stage}`, n]),
    ],
  };
}

// Latents by the stage they first appeared in.
function lineageCounts(path: string): Record<string, number> | null {
  if (!existsSync(path)) return null;
  const counts = new Map<string, number>();
  for (const stage of readLineage(path).stage) counts.set(stage, (counts.get(stage) ?? 0) + 1);
  return Object.fromEntries(counts);
}

function findMap(dir: string): Finding {
  const { method, exact, parent, child, hooks, fresh, exactness } = readMap(dir);
  return {
    document: { kind: "map", method, exact, parent, child, hooks: hooks.length, fresh, exactness },
    rows: [
      ["kind", `expansion map (${method}, ${exact ? "exact" : "not exact"})`],
      [
        "parent",
        `${parent.n_layer} layers × ${parent.d_model}, ${formatNumber(parent.params)} parameters`,
      ],
      [
        "child",
        `${child.n_layer} layers × ${child.d_model}, ${formatNumber(child.params)} parameters`,
      ],
      ["hooks", hooks.length],
      ["fresh parameters", fresh.length],
      ["largest difference of a logit", exactness?.max_abs_dlogit ?? null],
    ],
  };
}

function findFile(path: string): Finding {
  if (path.endsWith(".json")) {
    const { format } = (readJson(path) ?? {}) as { format?: unknown };
    throw new UsageError({
      code: "unknown-contents",
      where: path,
      expected: "a model, an SAE, an Arrow file, an expansion map or a run",
      got: typeof format === "string" ? `a JSON document (${format})` : "a JSON document",
    });
  }
  const summary = inspectFile(path);
  if (summary.kind === "safetensors") {
    throw new UsageError({
      code: "unknown-contents",
      where: path,
      expected: "the weights of a model, an SAE or an expansion map, in their folder",
      got: `a safetensors file of ${summary.tensors.length} tensors`,
    });
  }
  const { rows, batches, metadata } = summary;
  const columns = summary.columns.map(({ name, type }) => ({ name, type }));
  return {
    document: { kind: "arrow", rows, batches, columns, metadata },
    rows: [
      ["kind", "Arrow file"],
      ["rows", rows],
      ["batches", batches],
      ...columns.map(({ name, type }): Row => [`column ${name}`, type]),
      ...Object.entries(metadata).map(([key, value]): Row => [key, value]),
    ],
  };
}
