/**
 * Task: likeness over a stage's training (sae/likeness/curves.ts), for every SAE: the grown model right after its
 * expansion, at its checkpoints and at its end, the from-scratch model after as many tokens, and once each the
 * parent, the parent trained on unexpanded and random weights. Held-out tokens are those of the comparison, fewer
 * where activations are so wide that those of three models would not fit `mostNumbers`.
 */
import { existsSync } from "node:fs";
import { loadSae, type Sae } from "../../../sae/index.ts";
import {
  type ChildMeasure,
  type Likenesses,
  likenessCurves,
  likenessOfCodes,
  likenessReference,
  likenessTo,
  type ModelRows,
  ownCodes,
  type SaeLikeness,
  type ScratchMeasure,
} from "../../../sae/likeness/index.ts";
import { readTokenSet, type TokenSet } from "../../../src/data/index.ts";
import { writeJsonAtomic } from "../../../src/io/index.ts";
import { type HostModel, hookWidth, loadModel, placeModel } from "../../../src/models/index.ts";
import type { Arm } from "../../plan/types.ts";
import {
  type Checkpoint,
  checkpointDir,
  checkpoints,
  tokensBefore,
  trainingSteps,
} from "../checkpoints.ts";
import {
  carriedDir,
  dataDir,
  expansionDir,
  likenessPath,
  modelDir,
  realArm,
  saeDir,
  stageCount,
  stageName,
} from "../layout.ts";
import type { TaskContext } from "../task-context.ts";
import { firstTokensExcluded, heldOutRows, heldOutSubset } from "./held-out.ts";
import { reinitModel } from "./reinit-model.ts";

/** Activations held at a time, over the parent, the from-scratch model and the one that is measured: 256 MiB. */
const mostNumbers = 2 ** 26;

/** likeness.json. */
export interface LikenessFile {
  readonly format: "sae-carry/likeness";
  readonly version: 1;
  readonly stage: string;
  readonly saes: readonly SaeLikeness[];
}

/** Runs the task. */
export async function likenessTask(context: TaskContext, stage: number): Promise<string[]> {
  const { plan } = context;
  const saes: SaeLikeness[] = [];
  for (const [index, { name }] of plan.saes.entries()) {
    const done = (fraction: number): void =>
      context.progress((index + fraction) / plan.saes.length);
    const curves = await likenessOf(context, stage, name, done);
    if (curves) saes.push(curves);
  }
  const path = likenessPath(plan, stage);
  const file: LikenessFile = {
    format: "sae-carry/likeness",
    version: 1,
    stage: stageName(plan, stage),
    saes,
  };
  writeJsonAtomic(context.path(path), file);
  return [path];
}

/** Null, with a note, where the held-out tokens are a single sequence: a map is fitted on one half and read on the other. */
async function likenessOf(
  context: TaskContext,
  stage: number,
  name: string,
  done: (fraction: number) => void,
): Promise<SaeLikeness | null> {
  const { plan } = context;
  const sae = (path: string): Sae => loadSae(context.path(path));
  const parentSae = sae(saeDir(plan, stage - 1, name));
  const carried = sae(carriedDir(plan, stage, name));
  const { hook_name: hook, d_in: width } = carried.cfg;
  const set = heldOutTokens(context, parentSae.cfg.d_in + 2 * width);
  const sequenceLength = set.context - firstTokensExcluded;
  if (set.nSeq < 2) {
    context.note(`${name}: the held-out tokens are one sequence, so no likeness is measured`);
    return null;
  }
  const { min_firings: minFirings, bootstrap: replicates } = plan.eval;
  const options = { sequenceLength, minFirings, replicates };
  const rng = context.rng(`likeness ${stage} ${name}`);
  const rows = (model: HostModel | string, at = hook): Promise<ModelRows> =>
    rowsOf(context, typeof model === "string" ? loadModel(context.path(model)) : model, at, set);

  const parentRows = await rows(modelDir(plan, stage - 1), parentSae.cfg.hook_name);
  const parent = await likenessReference(parentSae, parentRows, rng, options);
  const isLast = stage === stageCount(plan) - 1;
  const has = (...arms: Arm[]): boolean =>
    isLast && arms.some((arm) => plan.controls.arms.includes(arm));
  const hasScratch = has("scratch", "carried-scratch");
  const scratch =
    has("scratch") && plan.controls.fresh_seeds > 0
      ? await likenessReference(
          sae(saeDir(plan, stage, name, "scratch-1")),
          await rows(modelDir(plan, stage, "scratch")),
          rng.fork("scratch"),
          options,
          parent,
        )
      : null;
  const both = async (own: ModelRows): Promise<Likenesses> => ({
    to_parent: await likenessTo(parent, own),
    to_scratch: scratch && (await likenessTo(scratch, own)),
  });

  const points = childPoints(context, stage);
  const scratchAt = hasScratch ? scratchPoints(context, stage) : [];
  const all = points.length + scratchAt.length + 3;
  let measured = 0;
  const step = (): void => done(++measured / all);
  const child: ChildMeasure[] = [];
  for (const { path, tokens, total_tokens } of points) {
    const own = await rows(path);
    const in_place = await likenessOfCodes(parent, await ownCodes(carried, own, parent.runs));
    child.push({ tokens, total_tokens, in_place, ...(await both(own)) });
    step();
  }
  const fromScratch: ScratchMeasure[] = [];
  for (const { path, total_tokens } of scratchAt) {
    fromScratch.push({ total_tokens, to_parent: await likenessTo(parent, await rows(path)) });
    step();
  }
  return likenessCurves({
    sae: name,
    tokens: parent.runs.blockOf.length,
    latents: { parent: parent.judged, scratch: scratch?.judged ?? null },
    child,
    scratch: hasScratch ? fromScratch : null,
    references: {
      parent: await both(parentRows),
      no_expand: has("no-expand")
        ? await both(await rows(modelDir(plan, stage, "no-expand"), parentSae.cfg.hook_name))
        : null,
      random: await both(await rows(reinitModel(context, stage))),
    },
  });
}

/** The tokens of the comparison, or as many of them as fit with `width` numbers a token. */
function heldOutTokens(context: TaskContext, width: number): TokenSet {
  const tokens = Math.min(context.plan.eval.tokens, Math.floor(mostNumbers / width));
  return heldOutSubset(readTokenSet(context.path(dataDir, "held-out.safetensors")), tokens);
}

async function rowsOf(
  context: TaskContext,
  host: HostModel,
  hook: string,
  set: TokenSet,
): Promise<ModelRows> {
  const model = placeModel(host);
  const width = hookWidth(host.config, hook);
  const values = new Float32Array(set.nSeq * (set.context - firstTokensExcluded) * width);
  let at = 0;
  try {
    for await (const block of heldOutRows(context, model, hook, set)) {
      values.set(block, at);
      at += block.length;
    }
  } finally {
    model.dispose();
  }
  return { width, values };
}

/** Where a model lies, and the tokens that it has seen. */
interface Point {
  readonly path: string;
  readonly tokens: number;
  readonly total_tokens: number;
}

/** The grown model right after its expansion, at its checkpoints, at its end. */
function childPoints(context: TaskContext, stage: number): Point[] {
  const { plan } = context;
  const { train } = plan.stages[stage - 1];
  const before = tokensBefore(plan, stage);
  const { steps, batchTokens } = trainingSteps(plan, train, train.tokens);
  const at = (path: string, tokens: number): Point => ({
    path,
    tokens,
    total_tokens: before + tokens,
  });
  const kept = keptModels(context, stage, realArm).map(({ path, tokens }) => at(path, tokens));
  const start = at(`${expansionDir(plan, stage)}/model`, 0);
  const end = at(modelDir(plan, stage), steps * batchTokens);
  return steps === 0 ? [end] : [start, ...kept, end];
}

/** The from-scratch model at its checkpoints and at its end. */
function scratchPoints(context: TaskContext, stage: number): Omit<Point, "tokens">[] {
  const { plan } = context;
  const all = trainingSteps(plan, plan.model.train, tokensBefore(plan, stage + 1));
  return [
    ...keptModels(context, stage, "scratch").map(({ path, tokens }) => ({
      path,
      total_tokens: tokens,
    })),
    { path: modelDir(plan, stage, "scratch"), total_tokens: all.steps * all.batchTokens },
  ];
}

/** The checkpoints that are there: a run that an older version trained has none. */
function keptModels(
  context: TaskContext,
  stage: number,
  arm: string,
): (Checkpoint & { readonly path: string })[] {
  const { plan } = context;
  return checkpoints(plan, stage, arm)
    .map((point) => ({ ...point, path: checkpointDir(plan, stage, arm, point) }))
    .filter(({ path }) => existsSync(context.path(path)));
}
