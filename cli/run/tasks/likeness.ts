/**
 * Task: likeness over a stage's training (sae/likeness/curves.ts), for every SAE: the grown model right after its
 * expansion, at its checkpoints and at its end, the from-scratch model after as many tokens, and once each the
 * parent, the parent trained on unexpanded and random weights. SAEs that read the same hooks are measured together, so
 * that each model runs once for all of them. Held-out tokens are those of the comparison, fewer
 * where activations are so wide that those of three models would not fit `mostNumbers`.
 */
import { existsSync } from "node:fs";
import { loadSae, type Sae } from "../../../sae/index.ts";
import {
  type ChildMeasure,
  type Likenesses,
  type LikenessReference,
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
  const curves = new Map<string, SaeLikeness>();
  const groups = byHooks(context, stage);
  for (const [index, group] of groups.entries()) {
    const done = (fraction: number): void => context.progress((index + fraction) / groups.length);
    for (const own of await likenessOf(context, stage, group, done)) curves.set(own.sae, own);
  }
  const saes = plan.saes.flatMap(({ name }) => curves.get(name) ?? []);
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

/** An SAE of the plan: the parent's, and the same carried into the grown model. */
interface CarriedSae {
  readonly name: string;
  readonly parent: Sae;
  readonly carried: Sae;
}

/** The SAEs of the plan, those that read one hook in the parent and one in the grown model together. */
function byHooks(context: TaskContext, stage: number): CarriedSae[][] {
  const { plan } = context;
  const groups = new Map<string, CarriedSae[]>();
  for (const { name } of plan.saes) {
    const parent = loadSae(context.path(saeDir(plan, stage - 1, name)));
    const carried = loadSae(context.path(carriedDir(plan, stage, name)));
    const key = `${parent.cfg.hook_name} ${carried.cfg.hook_name}`;
    groups.set(key, [...(groups.get(key) ?? []), { name, parent, carried }]);
  }
  return [...groups.values()];
}

/** One SAE's references and what was measured with them. */
interface SaeMeasures extends CarriedSae {
  readonly toParent: LikenessReference;
  readonly toScratch: LikenessReference | null;
  readonly child: ChildMeasure[];
  readonly fromScratch: ScratchMeasure[];
  readonly both: (own: ModelRows) => Promise<Likenesses>;
}

/**
 * Likenesses of SAEs that read the same hooks. None, with a note, where the held-out tokens are a single sequence: a map
 * is fitted on one half and read on the other.
 */
async function likenessOf(
  context: TaskContext,
  stage: number,
  group: readonly CarriedSae[],
  done: (fraction: number) => void,
): Promise<SaeLikeness[]> {
  const { plan } = context;
  const { hook_name: parentHook, d_in: parentWidth } = group[0].parent.cfg;
  const { hook_name: hook, d_in: width } = group[0].carried.cfg;
  const set = heldOutTokens(context, parentWidth + 2 * width);
  const sequenceLength = set.context - firstTokensExcluded;
  if (set.nSeq < 2) {
    for (const { name } of group) {
      context.note(`${name}: the held-out tokens are one sequence, so no likeness is measured`);
    }
    return [];
  }
  const { min_firings: minFirings, bootstrap: replicates } = plan.eval;
  const options = { sequenceLength, minFirings, replicates };
  const rows = (model: HostModel | string, at = hook): Promise<ModelRows> =>
    rowsOf(context, typeof model === "string" ? loadModel(context.path(model)) : model, at, set);

  const parentRows = await rows(modelDir(plan, stage - 1), parentHook);
  const isLast = stage === stageCount(plan) - 1;
  const has = (...arms: Arm[]): boolean =>
    isLast && arms.some((arm) => plan.controls.arms.includes(arm));
  const hasScratch = has("scratch", "carried-scratch");
  const scratchRows =
    has("scratch") && plan.controls.fresh_seeds > 0
      ? await rows(modelDir(plan, stage, "scratch"))
      : null;
  const measures: SaeMeasures[] = [];
  for (const own of group) {
    const rng = context.rng(`likeness ${stage} ${own.name}`);
    const toParent = await likenessReference(own.parent, parentRows, rng, options);
    const toScratch =
      scratchRows &&
      (await likenessReference(
        loadSae(context.path(saeDir(plan, stage, own.name, "scratch-1"))),
        scratchRows,
        rng.fork("scratch"),
        options,
        toParent,
      ));
    const both = async (of: ModelRows): Promise<Likenesses> => ({
      to_parent: await likenessTo(toParent, of),
      to_scratch: toScratch && (await likenessTo(toScratch, of)),
    });
    measures.push({ ...own, toParent, toScratch, child: [], fromScratch: [], both });
  }

  const points = childPoints(context, stage);
  const scratchAt = hasScratch ? scratchPoints(context, stage) : [];
  const all = points.length + scratchAt.length + 3;
  let measured = 0;
  const step = (): void => done(++measured / all);
  for (const { path, tokens, total_tokens } of points) {
    const own = await rows(path);
    for (const { carried, toParent, child, both } of measures) {
      const in_place = await likenessOfCodes(toParent, await ownCodes(carried, own, toParent.runs));
      child.push({ tokens, total_tokens, in_place, ...(await both(own)) });
    }
    step();
  }
  for (const { path, total_tokens } of scratchAt) {
    const own = await rows(path);
    for (const { toParent, fromScratch } of measures) {
      fromScratch.push({ total_tokens, to_parent: await likenessTo(toParent, own) });
    }
    step();
  }
  const bothOf = async (own: ModelRows): Promise<Likenesses[]> => {
    const found: Likenesses[] = [];
    for (const { both } of measures) found.push(await both(own));
    return found;
  };
  const ofParent = await bothOf(parentRows);
  const unexpanded = has("no-expand")
    ? await bothOf(await rows(modelDir(plan, stage, "no-expand"), parentHook))
    : null;
  const random = await bothOf(await rows(reinitModel(context, stage)));
  return measures.map(({ name, toParent, toScratch, child, fromScratch }, i) =>
    likenessCurves({
      sae: name,
      tokens: toParent.runs.blockOf.length,
      latents: { parent: toParent.judged, scratch: toScratch?.judged ?? null },
      child,
      scratch: hasScratch ? fromScratch : null,
      references: {
        parent: ofParent[i],
        no_expand: unexpanded?.[i] ?? null,
        random: random[i],
      },
    }),
  );
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
