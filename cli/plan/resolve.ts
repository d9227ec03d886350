/**
 * @file PlanInput → ResolvedPlan: every default spelled out, paths made absolute, and what no single
 * key shows checked (head count divides the width, names are unique, a gate checks something).
 */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { ActivationDump, readJson, UsageError } from "../../src/io/index.ts";
import { type ModelSizes, modelSizes, parseConfig } from "../../src/models/index.ts";
import {
  carryTokens,
  checkpointStageRate,
  contextTokens,
  corpusDefaults,
  defaultHook,
  defaultNewLatents,
  defaultPreset,
  defaultStageName,
  evalDefaults,
  expandDefaults,
  growthTitle,
  modelDefaults,
  planDefaults,
  presets,
  reportDefaults,
  stageTrainDefaults,
  trainDefaults,
  vocabularySize,
} from "./defaults.ts";
import { defined } from "./defined.ts";
import { type Fail, folded, resolveSaes } from "./resolve-saes.ts";
import type {
  CorpusInput,
  CorpusPlan,
  ExpandPlan,
  Growth,
  ModelPlan,
  PlanInput,
  ResolvedPlan,
  StageInput,
  StagePlan,
  StageTrainPlan,
  TokenizerPlan,
  TrainPlan,
} from "./types.ts";

/**
 * Spells out every default of `input`. Relative paths are taken from `folder`; `where` names the plan
 * in errors. A model at `model.path` gives its own sizes. Errors: UsageError that names the key.
 */
export function resolvePlan(input: PlanInput, folder: string, where: string): ResolvedPlan {
  const fail: Fail = (key, expected, got, hint) => {
    const place = `${where} ${key}`;
    throw new UsageError({ code: "plan-bad-value", where: place, expected, got, hint });
  };
  const activations = input.activations ? resolve(folder, input.activations) : null;
  if (activations !== null) checkAlone(input, fail);
  const { context = contextTokens, ...text } = input.data ?? {};
  const corpus = resolveCorpus(text, corpusDefaults, "data", folder, fail);
  const data = { ...corpus, context };
  const checkpoint = readCheckpoint(input, folder);
  const model = resolveModel(input.model ?? {}, checkpoint, folder, fail);
  const tokenizer = resolveTokenizer(input.tokenizer ?? {}, model, checkpoint, folder);
  if (checkpoint && data.context > checkpoint.context) {
    fail(
      "data.context",
      `at most the ${checkpoint.context} positions of the model`,
      `${data.context}`,
    );
  }
  const hook = (): string =>
    activations === null ? defaultHook(model.layers) : onlyHook(activations);
  const sources = { folder, where, hasModel: model.path !== null && activations === null };
  const saes = resolveSaes(input.saes ?? [{}], hook, sources, fail);
  if (activations !== null && saes.length === 0) fail("saes", "SAEs to train on activations", "[]");
  const stages = resolveStages(
    input.stages ?? [],
    model.train,
    model.path !== null,
    defaultNewLatents(saes),
    (own, key) => resolveCorpus(own, corpus, key, folder, fail),
    fail,
  );
  const preset = input.controls?.preset ?? defaultPreset;
  return {
    version: planDefaults.version,
    seed: input.seed ?? planDefaults.seed,
    backend: input.backend ?? planDefaults.backend,
    threads: input.threads ?? planDefaults.threads,
    workers: input.workers ?? planDefaults.workers,
    activations,
    data,
    tokenizer,
    model,
    saes,
    stages,
    controls: { preset, ...presets[preset], ...defined(input.controls) },
    eval: { ...evalDefaults, ...defined(input.eval) },
    report: {
      ...reportDefaults,
      ...(saes.length === 0 ? { title: growthTitle } : {}),
      ...defined(input.report),
    },
  };
}

// What a plan of activations can't have: there is no text, no model and nothing to grow.
function checkAlone(input: PlanInput, fail: Fail): void {
  for (const key of ["data", "tokenizer", "model", "stages", "controls", "report"] as const) {
    if (isEmpty(input[key])) continue;
    fail(key, "nothing beside activations: there is no model", JSON.stringify(input[key]));
  }
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  return typeof value === "object" && Object.values(value).every(isEmpty);
}

// The dump is opened only where the plan doesn't name the hook: a run that is done outlives its dump.
function onlyHook(path: string): string {
  const { hooks } = new ActivationDump(path);
  if (hooks.length === 1) return hooks[0].name;
  throw new UsageError({
    code: "no-hook",
    where: path,
    expected: "one column of activations, or --hook (saes[].hook) to choose among several",
    got: hooks.map(({ name }) => name).join(", ") || "none",
  });
}

/** What the plan says of a checkpoint by path. */
type Checkpoint = ModelSizes & { readonly family: string };

// A run holds its base model, so a stored plan (every size spelled out) doesn't need the original any more.
function readCheckpoint({ model, tokenizer }: PlanInput, folder: string): Checkpoint | null {
  if (!model?.path) return null;
  const file = join(resolve(folder, model.path), "config.json");
  const spelledOut = model.d_model && model.layers && model.heads && model.mlp && tokenizer?.path;
  if (spelledOut && !existsSync(file)) return null;
  const config = parseConfig(readJson(file), file);
  return { ...modelSizes(config), family: config.model_type };
}

// A corpus that names neither its kind nor its path is `from` with the keys given; another one takes over the rest
// of `from` but for what says which of its documents are read, and in which order.
function resolveCorpus(
  { order, ...input }: CorpusInput,
  from: CorpusPlan,
  key: string,
  folder: string,
  fail: Fail,
): CorpusPlan {
  const { filter, max_tokens } = corpusDefaults;
  const { corpus = input.path ? "text" : null } = input;
  const other = { path: null, order: corpusDefaults.order, filter, max_tokens };
  const data: CorpusPlan = {
    ...from,
    ...(corpus === null ? {} : { corpus, ...other }),
    ...defined(input),
    ...(order === undefined
      ? {}
      : { order: typeof order === "string" ? order : { descending: false, ...order } }),
  };
  if (data.corpus === "sotu") {
    if (data.path !== null) fail(`${key}.path`, "null for the corpus sotu", data.path);
    return data;
  }
  if (data.path === null) {
    return fail(`${key}.path`, `the path of the ${data.corpus} corpus`, "null");
  }
  return { ...data, path: resolve(folder, data.path) };
}

function resolveModel(
  input: NonNullable<PlanInput["model"]>,
  checkpoint: Checkpoint | null,
  folder: string,
  fail: Fail,
): ModelPlan {
  const sizes = checkpoint
    ? {
        family: checkpoint.family,
        d_model: checkpoint.dModel,
        layers: checkpoint.nLayer,
        heads: checkpoint.nHead,
        kv_heads: checkpoint.nKvHead === checkpoint.nHead ? null : checkpoint.nKvHead,
        mlp: checkpoint.dMlp,
      }
    : modelDefaults;
  const d_model = input.d_model ?? sizes.d_model;
  const model = {
    path: input.path ? resolve(folder, input.path) : null,
    family: input.family ?? sizes.family,
    d_model,
    layers: input.layers ?? sizes.layers,
    heads: input.heads ?? sizes.heads,
    kv_heads: input.kv_heads ?? sizes.kv_heads,
    mlp: neurons(input.mlp ?? sizes.mlp, d_model),
    train: {
      ...trainDefaults,
      ...(checkpoint ? { tokens: 0 } : {}),
      ...defined(input.train),
    },
  };
  for (const key of ["family", "d_model", "layers", "heads", "kv_heads", "mlp"] as const) {
    if (checkpoint && model[key] !== sizes[key]) {
      fail(`model.${key}`, `${sizes[key] ?? "null"}, as the checkpoint has it`, `${model[key]}`);
    }
  }
  checkWarmup(model.train, "model.train", fail);
  if (model.d_model % model.heads !== 0) {
    const divisors = range(1, model.d_model).filter((heads) => model.d_model % heads === 0);
    fail(
      "model.heads",
      `a divisor of d_model ${model.d_model} (${divisors.join(", ")})`,
      `${model.heads}`,
    );
  }
  return model;
}

function resolveTokenizer(
  input: Partial<TokenizerPlan>,
  model: ModelPlan,
  checkpoint: Checkpoint | null,
  folder: string,
): TokenizerPlan {
  const beside = model.path === null ? null : join(model.path, "tokenizer.json");
  const path = input.path ? resolve(folder, input.path) : null;
  if (checkpoint && path === null && !existsSync(beside as string)) {
    throw new UsageError({
      code: "no-tokenizer",
      where: beside as string,
      expected: "the tokenizer of the model",
      got: "no such file",
      hint: "name it with tokenizer.path",
    });
  }
  return {
    path: path ?? beside,
    vocab_size: checkpoint?.vocabSize ?? input.vocab_size ?? vocabularySize,
  };
}

function resolveStages(
  inputs: readonly StageInput[],
  base: TrainPlan,
  fromCheckpoint: boolean,
  newLatents: number,
  corpus: (input: CorpusInput, key: string) => CorpusPlan,
  fail: Fail,
): StagePlan[] {
  const stageDefaults = {
    ...stageTrainDefaults,
    ...(fromCheckpoint ? { lr: checkpointStageRate } : {}),
  };
  const stages: StagePlan[] = [];
  for (const [i, input] of inputs.entries()) {
    const expand = { ...expandDefaults, ...defined(input.expand) };
    const { width, layers, heads, kv_heads, head_dim, mlp, vocab, experts } = expand;
    const sizes = [width, layers, heads, kv_heads, head_dim, mlp, vocab, experts];
    if (sizes.every((size) => size === null) && typeof expand.positions === "string") {
      fail(
        `stages[${i}].expand`,
        "width, layers, heads, kv_heads, head_dim, mlp, vocab or experts",
        "nothing that grows",
      );
    }
    const taken = new Set(["base", ...stages.map((stage) => folded(stage.name))]);
    if (input.name !== undefined && taken.has(folded(input.name))) {
      fail(`stages[${i}].name`, "a name of its own", input.name);
    }
    const gates = (input.gates ?? []).map((gate, g) => {
      const { kind, max = null, max_increase = null } = gate;
      if (max === null && max_increase === null) {
        fail(`stages[${i}].gates[${g}]`, "max or max_increase", "neither");
      }
      return { kind, max, max_increase };
    });
    const learned = expand.method === "ligo" ? { optimizer: "reset" as const } : {};
    const train = { ...base, ...stageDefaults, ...learned, ...defined(input.train) };
    checkWarmup(train, `stages[${i}].train`, fail);
    checkLearned(expand, train, `stages[${i}].train`, fail);
    stages.push({
      name: input.name ?? unused(defaultStageName(expand), taken),
      expand,
      data: input.data ? corpus(input.data, `stages[${i}].data`) : null,
      train,
      carry: { new_latents: newLatents, tokens: carryTokens, lr: null, ...defined(input.carry) },
      gates,
    });
  }
  return stages;
}

// Combinations of the parent's entries have no single one that a moment or a freeze could follow.
function checkLearned(
  { method }: ExpandPlan,
  { optimizer, freeze }: StageTrainPlan,
  key: string,
  fail: Fail,
): void {
  if (method !== "ligo") return;
  if (optimizer !== "reset") fail(`${key}.optimizer`, "reset after ligo", optimizer);
  if (typeof freeze === "string" && freeze !== "none") {
    fail(`${key}.freeze`, "none or patterns after ligo", freeze);
  }
}

function checkWarmup({ warmup, tokens }: TrainPlan, key: string, fail: Fail): void {
  if (warmup <= 1 || (Number.isInteger(warmup) && warmup <= tokens)) return;
  const expected = `a share of the steps (up to 1), or whole tokens, at most the ${tokens} trained on`;
  fail(`${key}.warmup`, expected, `${warmup}`);
}

function unused(name: string, taken: ReadonlySet<string>): string {
  if (!taken.has(name)) return name;
  for (let i = 2; ; i++) {
    if (!taken.has(`${name}-${i}`)) return `${name}-${i}`;
  }
}

function neurons(size: Growth, width: number): number {
  return typeof size === "number" ? size : Math.max(1, Math.round(Number.parseFloat(size) * width));
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}
