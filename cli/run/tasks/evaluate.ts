/**
 * Task: a stage in figures and tables: eval.json (its model, its controls, every SAE), features.arrow
 * and activations.arrow of the carried SAE.
 */
import {
  evaluateSaes,
  featureColumns,
  latentFeatures,
  loadSae,
  pcaFvu,
  readLineage,
  type Sae,
  type SaeEvaluation,
} from "../../../sae/index.ts";
import {
  readTokenSet,
  spreadSequences,
  Tokenizer,
  type TokenSet,
} from "../../../src/data/index.ts";
import {
  copySpread,
  type Exactness,
  hookEntry,
  offImageEnergy,
  readMap,
} from "../../../src/expansion/index.ts";
import {
  type DumpBatch,
  readJson,
  writeActivationDump,
  writeArrowTable,
  writeJsonAtomic,
} from "../../../src/io/index.ts";
import {
  heldOutLoss,
  loadModel,
  type Model,
  modelSizes,
  parameterCount,
  placeModel,
  trainingFlopsPerToken,
} from "../../../src/models/index.ts";
import { dumpMetadata } from "../../dump-metadata.ts";
import type { ResolvedPlan } from "../../plan/types.ts";
import { tokenRows } from "../../token-rows.ts";
import { byModel, stageArms } from "../arms.ts";
import {
  dataDir,
  expansionDir,
  modelDir,
  saeDir,
  stageCount,
  stageDir,
  stageName,
} from "../layout.ts";
import type { TaskContext } from "../task-context.ts";
import type { CorpusRecord } from "./data.ts";
import {
  firstTokensExcluded,
  heldOutActivations,
  heldOutCodes,
  heldOutRows,
  heldOutSubset,
} from "./held-out.ts";
import { spentBefore } from "./language-model.ts";

/** A model's end point. */
export interface ModelFigures {
  readonly held_out_loss: number;
  /** Standard error over sequences. */
  readonly held_out_se: number;
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
}

/** Held-out tokens that go into activations.arrow, and on which spliced losses are measured. */
const dumpTokens = 8192;
const lossTokens = 4096;

/** Runs the task. */
export async function evaluateTask(context: TaskContext, stage: number): Promise<string[]> {
  const { plan } = context;
  const heldOut = readTokenSet(context.path(dataDir, "held-out.safetensors"));
  const set = heldOutSubset(heldOut, plan.eval.tokens);
  const model = placeModel(loadModel(context.path(modelDir(plan, stage))));
  const corpus = readJson(context.path(dataDir, "corpus.json")) as CorpusRecord;
  const growth = stage === 0 ? null : await growthFigures(context, stage, set, model);
  context.progress(0.1);
  const saes = await saeFigures(context, stage, set);
  context.progress(0.7);
  await context.pause();
  const carried = loadSae(context.path(saeDir(plan, stage, plan.saes[0].name)));
  const { l0 } = saes[0];
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
      ...(await modelFigures(model, set, spentBefore(context, stage + 1))),
      unigram_entropy: corpus.unigram_entropy,
      loss_after_expansion: growth?.loss ?? null,
    },
    controls: await controlFigures(context, stage, set),
    pca_fvu: await pcaFvu(
      heldOutRows(context, model, carried.cfg.hook_name, set),
      carried.cfg.d_in,
      Math.min(carried.cfg.d_in, Math.round(l0)),
    ),
    saes,
    exactness: growth?.exactness ?? null,
    off_image: growth?.off_image ?? null,
    copy_spread: growth?.copy_spread ?? null,
  };
  await context.pause();
  const dir = stageDir(plan, stage);
  writeJsonAtomic(context.path(dir, "eval.json"), evaluation);
  context.progress(0.8);
  const tables = await writeTables(context, stage, model, corpus, heldOut, set);
  model.dispose();
  return [`${dir}/eval.json`, ...tables];
}

/** Every SAE of the stage on its own model; SAEs of one model share its passes. */
async function saeFigures(
  context: TaskContext,
  stage: number,
  set: TokenSet,
): Promise<StageEvaluation["saes"]> {
  const { plan } = context;
  const found: StageEvaluation["saes"][number][] = [];
  for (const { name } of plan.saes) {
    const arms = stageArms(plan, stage, name);
    const figures = new Map<string, SaeEvaluation>();
    for (const [path, group] of byModel(arms)) {
      const model = placeModel(loadModel(context.path(path)));
      const saes = group.map(({ sae }) => loadSae(context.path(sae)));
      const results = await evaluateSaes(model, set, saes, {
        lossTokens,
        pause: () => context.pause(),
      });
      for (const [i, arm] of group.entries()) figures.set(arm.arm, results[i]);
      model.dispose();
    }
    for (const { arm, seed } of arms) {
      found.push({ arm, sae: name, seed, ...(figures.get(arm) as SaeEvaluation) });
    }
  }
  return found;
}

/** How exact the expansion was, and how far the child has left the image of the map. */
async function growthFigures(
  context: TaskContext,
  stage: number,
  set: TokenSet,
  child: Model,
): Promise<{
  loss: number;
  exactness: Exactness | null;
  off_image: BeforeAfter | null;
  copy_spread: BeforeAfter | null;
}> {
  const { plan } = context;
  const map = readMap(context.path(expansionDir(plan, stage)));
  const parentSae = loadSae(context.path(saeDir(plan, stage - 1, plan.saes[0].name)));
  const entry = hookEntry(map, parentSae.cfg.hook_name);
  if (!entry) throw new Error(`internal: the map has no hook ${parentSae.cfg.hook_name}`);
  const start = placeModel(loadModel(context.path(expansionDir(plan, stage), "model")));
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
  const [before, after] = [await measure(start), await measure(child)];
  start.dispose();
  return {
    loss,
    exactness: map.exactness,
    off_image: beforeAfter(before.off, after.off),
    copy_spread: beforeAfter(before.spread, after.spread),
  };
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
  spent: { readonly tokens: number; readonly flops: number },
): Promise<ModelFigures> {
  const { loss, se } = await heldOutLoss(model, set.ids, set.context);
  return {
    held_out_loss: loss,
    held_out_se: se,
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
): Promise<StageEvaluation["controls"]> {
  const { plan } = context;
  const controls: Record<string, ModelFigures> = {};
  if (stage === 0 || stage !== stageCount(plan) - 1) return controls;
  for (const arm of ["scratch", "no-expand"] as const) {
    if (!hasModel(plan, arm)) continue;
    const model = placeModel(loadModel(context.path(modelDir(plan, stage, arm))));
    const all = spentBefore(context, stage + 1).tokens;
    const own = plan.stages[stage - 1].train.tokens;
    const perToken = trainingFlopsPerToken(model.config, plan.data.context);
    const spent =
      arm === "scratch"
        ? { tokens: all, flops: all * perToken }
        : { tokens: all, flops: spentBefore(context, stage).flops + own * perToken };
    controls[arm] = await modelFigures(model, set, spent);
    model.dispose();
    await context.pause();
  }
  return controls;
}

function hasModel(plan: ResolvedPlan, arm: "scratch" | "no-expand"): boolean {
  const { arms } = plan.controls;
  return arms.includes(arm) || (arm === "scratch" && arms.includes("carried-scratch"));
}

/** features.arrow of the first SAE, features-<name>.arrow of the others, and activations.arrow. */
async function writeTables(
  context: TaskContext,
  stage: number,
  model: Model,
  corpus: CorpusRecord,
  heldOut: TokenSet,
  set: TokenSet,
): Promise<string[]> {
  const { plan } = context;
  const dir = stageDir(plan, stage);
  const text = Tokenizer.load(context.path(dataDir, "tokenizer.json")).tokenStrings();
  const outputs: string[] = [];
  const saes = new Map<string, Sae>();
  for (const [index, { name }] of plan.saes.entries()) {
    const folder = context.path(saeDir(plan, stage, name));
    const sae = loadSae(folder);
    saes.set(name, sae);
    const [codes] = await heldOutCodes(context, model, sae.cfg.hook_name, set, [sae]);
    const features = await latentFeatures(
      sae,
      codes,
      { ...set, skip: firstTokensExcluded, text },
      model,
      { contexts: plan.report.contexts_per_latent },
    );
    const path = index === 0 ? `${dir}/features.arrow` : `${dir}/features-${name}.arrow`;
    writeArrowTable(
      context.path(path),
      featureColumns(features, readLineage(`${folder}/lineage.arrow`)),
      {
        "sae_carry.format": "sae-carry/features",
        "sae_carry.version": "1",
        "sae_carry.stage": stageName(plan, stage),
        "sae_carry.sae": name,
      },
    );
    outputs.push(path);
  }
  const widths = new Map([...saes.values()].map(({ cfg }) => [cfg.hook_name, cfg.d_in]));
  const hooks = [...widths].map(([name, width]) => ({ name, width }));
  const dumped = spreadSequences(heldOut, Math.ceil(dumpTokens / heldOut.context));
  const paths = await writeActivationDump(
    context.path(dir, "activations.arrow"),
    {
      hooks,
      saes: [...saes.keys()],
      vocab: text,
      metadata: dumpMetadata({
        model: context.path(modelDir(plan, stage)),
        hooks,
        corpus: corpus.name,
        fingerprint: corpus.fingerprint,
        context: plan.data.context,
        seed: plan.seed,
      }),
    },
    dumpBatches(context, model, dumped, saes, [...widths.keys()]),
  );
  const root = context.path("");
  return [...outputs, ...paths.map((path) => path.slice(root.length).replace(/^\//, ""))];
}

/** Rows of a dump: every token but the first of each sequence. */
async function* dumpBatches(
  context: TaskContext,
  model: Model,
  set: TokenSet,
  saes: ReadonlyMap<string, Sae>,
  hooks: readonly string[],
): AsyncGenerator<DumpBatch> {
  const size = 32;
  for (let from = 0; from < set.nSeq; from += size) {
    const part = sequences(set, from, Math.min(set.nSeq, from + size));
    const activations = new Map<string, Float32Array>();
    const latents: [string, DumpBatchCodes][] = [];
    for (const hook of hooks) {
      for await (const rows of heldOutRows(context, model, hook, part)) activations.set(hook, rows);
      const reading = [...saes].filter(([, sae]) => sae.cfg.hook_name === hook);
      const codes = await heldOutCodes(
        context,
        model,
        hook,
        part,
        reading.map(([, sae]) => sae),
      );
      for (const [i, [name]] of reading.entries()) latents.push([name, codes[i]]);
    }
    const rows = tokenRows(part, 0, part.nSeq, firstTokensExcluded);
    yield { ...rows, activations, latents: new Map(latents) };
  }
}

type DumpBatchCodes =
  NonNullable<DumpBatch["latents"]> extends ReadonlyMap<string, infer C> ? C : never;

function sequences(set: TokenSet, from: number, to: number): TokenSet {
  const { context } = set;
  return {
    ids: set.ids.subarray(from * context, to * context),
    doc: set.doc.subarray(from, to),
    start: set.start.subarray(from, to),
    nSeq: to - from,
    context,
  };
}
