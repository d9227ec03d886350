/**
 * Task: a stage in figures and tables: eval.json (its model, its controls, every SAE), features.arrow
 * and activations.arrow of the carried SAE.
 */
import { existsSync } from "node:fs";
import {
  evaluateSaes,
  joinCodes,
  loadSae,
  pcaFvu,
  type SaeEvaluation,
  type SparseCodes,
} from "../../../sae/index.ts";
import { readTokenSet, spreadSequences, type TokenSet } from "../../../src/data/index.ts";
import {
  copySpread,
  type Exactness,
  type ExpansionMap,
  expertSpread,
  hookEntry,
  offImageEnergy,
  readMap,
  type WeightDrift,
  weightDrift,
} from "../../../src/expansion/index.ts";
import { readJson, writeJsonAtomic } from "../../../src/io/index.ts";
import {
  blockHook,
  type HostModel,
  heldOutLoss,
  loadModel,
  type Model,
  modelSizes,
  parameterCount,
  placeModel,
  trainingFlopsPerToken,
} from "../../../src/models/index.ts";
import { earlierSuffix } from "../../plan/resolve-saes.ts";
import type { ResolvedPlan } from "../../plan/types.ts";
import { byModel, stageArms } from "../arms.ts";
import {
  dataDir,
  earlierCarriedDir,
  expansionDir,
  modelDir,
  ownData,
  realArm,
  saeDir,
  stageCount,
  stageDir,
  stageName,
  trainingDataDir,
} from "../layout.ts";
import type { TaskContext } from "../task-context.ts";
import type { CorpusRecord } from "./data.ts";
import { firstTokensExcluded, heldOutActivations, heldOutRows, heldOutSubset } from "./held-out.ts";
import { spentBefore } from "./language-model.ts";
import { writeTables } from "./stage-tables.ts";

/** A model's end point. */
export interface ModelFigures {
  readonly held_out_loss: number;
  /** Standard error over sequences. */
  readonly held_out_se: number;
  /** On the held-out documents of the stage's own text, and its standard error; null where it has none. */
  readonly stage_held_out_loss: number | null;
  readonly stage_held_out_se: number | null;
  readonly tokens_trained: number;
  readonly flops_trained: number;
  readonly params: number;
}

/** Something measured right after the expansion and after training on. */
export interface BeforeAfter {
  readonly after_expansion: number | null;
  readonly after_training: number | null;
}

/** `stages/<stage>/eval.json`. */
export interface StageEvaluation {
  readonly format: "sae-carry/stage-eval";
  readonly version: 1;
  readonly stage: string;
  readonly model: ModelFigures & {
    readonly d_model: number;
    readonly n_layer: number;
    readonly n_head: number;
    readonly d_mlp: number;
    readonly n_expert?: number;
    readonly n_expert_per_token?: number;
    readonly unigram_entropy: number;
    readonly loss_after_expansion: number | null;
  };
  readonly controls: Readonly<Record<string, ModelFigures>>;
  /** FVU of PCA at the rank of the first SAE's L0, on the stage's model at its hook. */
  readonly pca_fvu: number | null;
  readonly saes: readonly (SaeEvaluation & {
    readonly arm: string;
    readonly sae: string;
    readonly seed: number;
  })[];
  readonly exactness: Exactness | null;
  /** Null where the map is the identity at the first SAE's hook: growth in depth alone. */
  readonly off_image: BeforeAfter | null;
  /** Null where no coordinates are copies of one another. */
  readonly copy_spread: BeforeAfter | null;
  /** How far the weights moved since the expansion, and where; null in the base. */
  readonly weight_drift: WeightDrift | null;
  /** Variance among experts at the same weight; null for models without experts. */
  readonly expert_spread: BeforeAfter | null;
}

/** Held-out tokens on which spliced losses are measured. */
const lossTokens = 4096;

/** Runs the task. */
export async function evaluateTask(context: TaskContext, stage: number): Promise<string[]> {
  const { plan } = context;
  const heldOut = readTokenSet(context.path(dataDir, "held-out.safetensors"));
  const set = heldOutSubset(heldOut, plan.eval.tokens);
  const own = ownHeldOut(context, stage);
  const host = loadModel(context.path(modelDir(plan, stage)));
  const model = placeModel(host);
  const corpus = readJson(context.path(dataDir, "corpus.json")) as CorpusRecord;
  const growth = stage === 0 ? null : await growthFigures(context, stage, set, { host, model });
  context.progress(0.1);
  const { saes, codes } = await saeFigures(context, stage, set);
  context.progress(0.7);
  await context.pause();
  const sizes = modelSizes(model.config);
  const evaluation: StageEvaluation = {
    format: "sae-carry/stage-eval",
    version: 1,
    stage: stageName(plan, stage),
    model: {
      d_model: sizes.dModel,
      n_layer: sizes.nLayer,
      n_head: sizes.nHead,
      d_mlp: sizes.dMlp,
      ...(sizes.experts && {
        n_expert: sizes.experts.count,
        n_expert_per_token: sizes.experts.perToken,
      }),
      ...(await modelFigures(model, set, own, spentBefore(context, stage + 1))),
      unigram_entropy: corpus.unigram_entropy,
      loss_after_expansion: growth?.loss ?? null,
    },
    controls: await controlFigures(context, stage, set, own),
    pca_fvu: plan.saes.length === 0 ? null : await pcaFloor(context, stage, set, model, saes[0].l0),
    saes,
    exactness: growth?.exactness ?? null,
    off_image: growth?.off_image ?? null,
    copy_spread: growth?.copy_spread ?? null,
    weight_drift: growth?.weight_drift ?? null,
    expert_spread: growth?.expert_spread ?? null,
  };
  await context.pause();
  const dir = stageDir(plan, stage);
  writeJsonAtomic(context.path(dir, "eval.json"), evaluation);
  context.progress(0.8);
  const tables =
    plan.saes.length === 0
      ? []
      : await writeTables(context, stage, model, corpus, heldOut, set, codes);
  model.dispose();
  return [`${dir}/eval.json`, ...tables];
}

/** FVU of PCA at the rank of the first SAE's L0; null where that is a transcoder. */
async function pcaFloor(
  context: TaskContext,
  stage: number,
  set: TokenSet,
  model: Model,
  l0: number,
): Promise<number | null> {
  const { plan } = context;
  const { cfg } = loadSae(context.path(saeDir(plan, stage, plan.saes[0].name)));
  if (cfg.hook_name_out !== null) return null; // no floor for what is not read
  const rank = Math.min(cfg.d_in, Math.round(l0));
  return pcaFvu(heldOutRows(context, model, cfg.hook_name, set), cfg.d_in, rank);
}

/** Held-out sequences of the stage's own text; null where it has none. */
function ownHeldOut(context: TaskContext, stage: number): TokenSet | null {
  const { plan } = context;
  if (ownData(plan, stage) === null) return null;
  const file = context.path(trainingDataDir(plan, stage), "held-out.safetensors");
  return heldOutSubset(readTokenSet(file), plan.eval.tokens);
}

/** Every SAE of the stage on its own model, and the codes of the real one by the SAE's name; SAEs of one model share its passes. */
async function saeFigures(
  context: TaskContext,
  stage: number,
  set: TokenSet,
): Promise<{ saes: StageEvaluation["saes"]; codes: Map<string, SparseCodes> }> {
  const { plan } = context;
  const found: StageEvaluation["saes"][number][] = [];
  const real = new Map<string, SparseCodes>();
  for (const { name } of plan.saes) {
    const arms = stageArms(plan, stage, name);
    const figures = new Map<string, SaeEvaluation>();
    for (const [path, group] of byModel(arms)) {
      const model = placeModel(loadModel(context.path(path)));
      const saes = group.map(({ sae }) => loadSae(context.path(sae)));
      const codes: SparseCodes[] = [];
      const results = await evaluateSaes(model, set, saes, {
        lossTokens,
        firstTokensExcluded,
        pause: () => context.pause(),
        onCodes: (i, part) => {
          if (group[i].arm === realArm) codes.push(part);
        },
      });
      if (codes.length > 0) real.set(name, joinCodes(codes));
      for (const [i, arm] of group.entries()) figures.set(arm.arm, results[i]);
      model.dispose();
    }
    for (const { arm, seed } of arms) {
      found.push({ arm, sae: name, seed, ...(figures.get(arm) as SaeEvaluation) });
    }
    found.push(...(await earlierFigures(context, stage, name, set)));
  }
  return { saes: found, codes: real };
}

/**
 * The SAE at the earlier of two boundaries around inserted blocks, untrained: right after the expansion, where it does
 * what the later one does, and on the stage's model. Nothing where the boundary is one.
 */
async function earlierFigures(
  context: TaskContext,
  stage: number,
  name: string,
  set: TokenSet,
): Promise<StageEvaluation["saes"]> {
  const { plan } = context;
  const dir = context.path(earlierCarriedDir(plan, stage, name));
  if (stage === 0 || !existsSync(dir)) return [];
  const sae = loadSae(dir);
  const models = {
    "carried-start": `${expansionDir(plan, stage)}/model`,
    frozen: modelDir(plan, stage),
  };
  const found: StageEvaluation["saes"][number][] = [];
  for (const [arm, path] of Object.entries(models)) {
    const model = placeModel(loadModel(context.path(path)));
    const pause = (): Promise<void> => context.pause();
    const [figures] = await evaluateSaes(model, set, [sae], { lossTokens, pause });
    model.dispose();
    found.push({ arm: `${arm}${earlierSuffix}`, sae: name, seed: 0, ...figures });
  }
  return found;
}

/** How exact the expansion was, and how far the child has left the image of the map. */
async function growthFigures(
  context: TaskContext,
  stage: number,
  set: TokenSet,
  child: { readonly host: HostModel; readonly model: Model },
): Promise<{
  loss: number;
  exactness: Exactness | null;
  off_image: BeforeAfter | null;
  copy_spread: BeforeAfter | null;
  weight_drift: WeightDrift;
  expert_spread: BeforeAfter | null;
}> {
  const { plan } = context;
  const map = readMap(context.path(expansionDir(plan, stage)));
  const hook = tracedHook(context, stage, map);
  const entry = hookEntry(map, hook);
  if (!entry) throw new Error(`internal: the map has no hook ${hook}`);
  const grown = loadModel(context.path(expansionDir(plan, stage), "model"));
  const start = placeModel(grown);
  const { loss } = await heldOutLoss(start, set.ids, set.context);
  const few = spreadSequences(set, 64);
  const measure = async (model: Model): Promise<{ off: Mean; spread: Mean }> => {
    const off: Mean[] = [];
    const spread: Mean[] = [];
    for await (const rows of heldOutActivations(context, model, entry.to[0], few)) {
      off.push(await offImageEnergy(map, entry.tensor, rows));
      spread.push(await copySpread(map, entry.tensor, rows));
      rows.dispose();
    }
    return { off: meanOf(off), spread: meanOf(spread) };
  };
  const [before, after] = [await measure(start), await measure(child.model)];
  start.dispose();
  return {
    loss,
    exactness: map.exactness,
    off_image: beforeAfter(before.off, after.off),
    copy_spread: beforeAfter(before.spread, after.spread),
    weight_drift: weightDrift(grown, child.host, map),
    expert_spread: beforeAfter(expertSpread(grown), map.experts && expertSpread(child.host)),
  };
}

/** Where the child's image is measured: the first SAE's hook on the parent, or the parent's last boundary without SAEs. */
function tracedHook(context: TaskContext, stage: number, map: ExpansionMap): string {
  const { plan } = context;
  const [sae] = plan.saes;
  if (sae === undefined) return blockHook(map.parent.n_layer - 1, "hook_resid_post");
  return loadSae(context.path(saeDir(plan, stage - 1, sae.name))).cfg.hook_name;
}

type Mean = number | null;

function meanOf(values: readonly Mean[]): Mean {
  let sum = 0;
  for (const value of values) {
    if (value === null) return null;
    sum += value;
  }
  return sum / values.length;
}

function beforeAfter(after_expansion: Mean, after_training: Mean): BeforeAfter | null {
  return after_expansion === null ? null : { after_expansion, after_training };
}

async function modelFigures(
  model: Model,
  set: TokenSet,
  own: TokenSet | null,
  spent: { readonly tokens: number; readonly flops: number },
): Promise<ModelFigures> {
  const { loss, se } = await heldOutLoss(model, set.ids, set.context);
  const onOwn = own && (await heldOutLoss(model, own.ids, own.context));
  return {
    held_out_loss: loss,
    held_out_se: se,
    stage_held_out_loss: onOwn?.loss ?? null,
    stage_held_out_se: onOwn?.se ?? null,
    tokens_trained: spent.tokens,
    flops_trained: spent.flops,
    params: parameterCount(model.config),
  };
}

/** The control models that a stage has: `scratch` and `no-expand`, at the last. */
async function controlFigures(
  context: TaskContext,
  stage: number,
  set: TokenSet,
  own: TokenSet | null,
): Promise<StageEvaluation["controls"]> {
  const { plan } = context;
  const controls: Record<string, ModelFigures> = {};
  if (stage === 0 || stage !== stageCount(plan) - 1) return controls;
  for (const arm of ["scratch", "no-expand"] as const) {
    if (!hasModel(plan, arm)) continue;
    const model = placeModel(loadModel(context.path(modelDir(plan, stage, arm))));
    const all = spentBefore(context, stage + 1).tokens;
    const tokens = plan.stages[stage - 1].train.tokens;
    const perToken = trainingFlopsPerToken(model.config, plan.data.context);
    const spent =
      arm === "scratch"
        ? { tokens: all, flops: all * perToken }
        : { tokens: all, flops: spentBefore(context, stage).flops + tokens * perToken };
    controls[arm] = await modelFigures(model, set, own, spent);
    model.dispose();
    await context.pause();
  }
  return controls;
}

function hasModel(plan: ResolvedPlan, arm: "scratch" | "no-expand"): boolean {
  const { arms } = plan.controls;
  return arms.includes(arm) || (arm === "scratch" && arms.includes("carried-scratch"));
}
